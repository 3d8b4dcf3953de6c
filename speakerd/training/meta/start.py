"""Where the inner loop starts.

Proto-MAML (Triantafillou et al. 2020, arXiv 1903.03096) starts with the prototype classifier, so that no step at all is
that, and every step must earn its place. The other start is MAML's for commands of which nobody knows the number: the
same for each.
"""

import torch

from speakerd.training.meta.inner import Params, Task, nearness


def prototypes(params: Params, task: Task) -> Params:
    """The unit means ``w`` (commands, d), and in ``b`` (commands,) how near strangers come to them."""
    total = task.member.T @ task.support
    mean = total / (total.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()
    return {"w": mean, "b": -params["shared"] * nearness(params, mean, task.others, task.share)}


def blank(params: Params, task: Task) -> Params:
    """All commands alike, at zero."""
    ways, dimension = task.member.shape[1], task.support.shape[1]
    return {"w": torch.zeros(ways, dimension), "b": torch.zeros(ways)}
