"""The multi-step loss of MAML++ (Antoniou et al. 2019, arXiv 1810.09502): every step answers for itself at first, the
last alone in the end, which keeps long inner loops from drifting."""

import torch
from torch import Tensor


def step_weights(steps: int, done: float) -> Tensor:
    """The weight of what is learned at the start and after each step (steps + 1,), summing to 1; ``done`` is the part
    of the outer loop that is over, 0 to 1."""
    even = torch.full((steps + 1,), (1 - done) / (steps + 1))
    even[-1] += done
    return even
