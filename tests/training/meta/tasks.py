"""Enrolments of any size, with strangers around."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from speakerd.recognition.encoder import BUNDLED, TrunkEncoder
from speakerd.training.meta.inner import Params, Task, strangers

DIMENSION = TrunkEncoder(BUNDLED).pooled


def vectors(many: int, dimension: int = DIMENSION, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(many, dimension, generator=draw), dim=1)


def task(params: Params, ways: int, shots: int, others: int = 400, dimension: int = DIMENSION, seed: int = 0) -> Task:
    """Commands whose examples lie about a centre each."""
    centres = vectors(ways, dimension, seed).repeat_interleave(shots, 0)
    support = F.normalize(centres + 0.7 * vectors(ways * shots, dimension, seed + 1), dim=1)
    member = F.one_hot(torch.arange(ways).repeat_interleave(shots), ways).to(support)
    strange, share = vectors(others, dimension, seed + 2), torch.ones(others)
    return Task(support, member, strange, share, strangers(params, strange, strange, share, themselves=True))
