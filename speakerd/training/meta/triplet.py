"""Triplet loss (Schroff et al. 2015, arXiv 1503.03832): an example of the word nearer than the nearest stranger."""

import torch
from torch import Tensor

from speakerd.training.meta.episodes import Episode
from speakerd.training.meta.inner import Params
from speakerd.training.meta.space import projected

MARGIN = 0.3  # in cosine


def loss(params: Params, episode: Episode) -> Tensor:
    """Each utterance with each example of its word, against the hardest that is of another word or of none."""
    support, tried, others = (
        projected(params["metric"], vectors) for vectors in (episode.task.support, episode.tried, episode.task.others)
    )
    same = episode.task.member.argmax(dim=1)[None] == episode.named[:, None]
    between = tried @ support.T
    wrong = torch.cat([between.masked_fill(same, -1.0), tried @ others.T], dim=1).max(dim=1).values
    return (wrong[:, None] - between + MARGIN).clamp(min=0)[same].mean()
