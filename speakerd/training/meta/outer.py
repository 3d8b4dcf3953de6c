"""The outer loop's objective: false accepts at low rates, on strangers that the inner loop never met, and names."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from speakerd.training.meta.episodes import Episode
from speakerd.training.meta.inner import Params, scores, strangers
from speakerd.training.meta.space import projected

TOP = 0.01  # of the strangers, the nearest: those that decide at low false accept rates
FEWEST = 5
SCALE = 30.0
NAMING = 0.5


def outer_losses(params: Params, learned: Sequence[Params], episode: Episode) -> list[Tensor]:
    """How far below the nearest strangers the commands' utterances score (a soft partial AUC, as in Narasimhan and
    Agarwal 2013), and how well they are named, with each of ``learned``: a head and its metric."""
    losses: list[Tensor] = []
    metric: Tensor | None = None
    for part in learned:
        if part["metric"] is not metric:
            metric = part["metric"]
            heard = _heard(params, metric, episode)
        found, against = (scores(part, vectors, near) for vectors, near in heard)
        losses.append(_loss(found, against, episode.named))
    return losses


def _heard(params: Params, metric: Tensor, episode: Episode) -> list[tuple[Tensor, Tensor]]:
    """What is tried and what is strange, in the metric, each with how near the others come to it."""
    others = projected(metric, episode.task.others)
    both = [projected(metric, vectors) for vectors in (episode.tried, episode.strangers)]
    return [(vectors, strangers(params, vectors, others, episode.task.share)) for vectors in both]


def _loss(found: Tensor, against: Tensor, named: Tensor) -> Tensor:
    most = against.max(dim=1).values
    nearest = most.topk(min(len(most), max(FEWEST, int(TOP * len(most))))).values
    own = found[torch.arange(len(found)), named]
    ranked = F.softplus(SCALE * (nearest - own[:, None])).mean()
    return (ranked + NAMING * F.cross_entropy(SCALE * found, named)) / SCALE
