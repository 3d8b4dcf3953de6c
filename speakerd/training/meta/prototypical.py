"""Prototypical networks (Snell et al. 2017, arXiv 1703.05175): a space in which the nearest mean is the right one."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from speakerd.training.meta.episodes import Episode
from speakerd.training.meta.inner import Params
from speakerd.training.meta.space import projected

SCALE = 15.0


def loss(params: Params, episode: Episode) -> Tensor:
    """Cross entropy of the utterances' cosines to the prototypes, among which every stranger is one too."""
    support, tried, others = (
        projected(params["metric"], vectors) for vectors in (episode.task.support, episode.tried, episode.task.others)
    )
    means = F.normalize(episode.task.member.T @ support, dim=1)
    return F.cross_entropy(SCALE * tried @ torch.cat([means, others]).T, episode.named)
