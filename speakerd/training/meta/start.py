"""Where the inner loop starts.

Proto-MAML (Triantafillou et al. 2020, arXiv 1903.03096) starts with the prototype classifier, so that no step at all is
that, and every step must earn its place. The other start is MAML's for commands of which nobody knows the number: the
same for each.
"""

import torch

from speakerd.training.meta.inner import Params, Task, nearness


def prototypes(params: Params, task: Task) -> Params:
    """``w`` (commands, d) along the means, and ``b`` (commands,): how far an utterance lies above the strangers nearest
    to the mean, in their deviations, and the log likelihood ratio of command to world where both are normal, the
    command with a mean that is known from as many examples as there are (Brummer and de Villiers 2010)."""
    count = task.member.sum(dim=0)
    mean = task.member.T @ task.support / (count + 1e-12)[:, None]
    size = mean.square().sum(dim=1)
    direction = mean / (size + 1e-12).sqrt()[:, None]
    near = nearness(direction, task.others, task.share)
    above = params["typical"] / near[:, 1]
    within = params["within"]
    gain = count * (1 - within) / (count * (1 - within) + within)
    left = within + (1 - gain) * (1 - within)
    likelihood = params["likelihood"] * mean.shape[1]  # unit vectors to unit variance
    ratio = -0.5 * likelihood * (gain.square() / left * size + left.log() + 1 / left - 1)
    return {
        "w": above[:, None] * direction + (likelihood * gain / left)[:, None] * mean,
        "b": ratio - above * near[:, 0],
    }


def blank(params: Params, task: Task) -> Params:
    """All commands alike, at zero."""
    ways, dimension = task.member.shape[1], task.support.shape[1]
    return {"w": torch.zeros(ways, dimension), "b": torch.zeros(ways)}
