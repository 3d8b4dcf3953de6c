"""Siamese networks (Hadsell et al. 2006; Koch et al. 2015): pairs of one word close, pairs of two words apart."""

import torch
from torch import Tensor

from speakerd.training.meta.episodes import Episode
from speakerd.training.meta.inner import Params
from speakerd.training.meta.space import projected

MARGIN = 1.1  # that unlike pairs keep, in Euclidean distance of unit vectors; unrelated ones have about 1.4


def loss(params: Params, episode: Episode) -> Tensor:
    """The contrastive loss over all pairs of examples with utterances to try, and of these with strangers."""
    support, tried, others = (
        projected(params["metric"], vectors) for vectors in (episode.task.support, episode.tried, episode.task.others)
    )
    same = episode.task.member.argmax(dim=1)[None] == episode.named[:, None]
    between, outside = _distances(tried, support), _distances(tried, others)
    like = between[same].square().mean()
    unlike = torch.cat([between[~same], outside.flatten()])
    return like + (MARGIN - unlike).clamp(min=0).square().sum() / max(1, len(tried))


def _distances(one: Tensor, other: Tensor) -> Tensor:
    return (2 - 2 * one @ other.T).clamp(min=1e-6).sqrt()
