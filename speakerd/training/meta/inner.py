"""The inner loop: from a few examples of each command to its head, in a few steps of gradient descent.

A command's score is linear in a learned space, and beside it stands how far the utterance lies above the strangers
nearest to it, counted in their deviations: ``s(u, c) = w_c . phi(u) + b_c + lean (w_c / |w_c| . phi(u) - m_u) / d_u``
(adaptive normalisation as in Matejka et al. 2017). The head starts as the prototypes (start.py); each step lowers
an open-set loss, in which every command stands against the world by itself. What cannot be known from three examples
(step sizes, temperatures, margins, how far to leave the start) is meta-learned.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.func import grad

from speakerd.recognition.head import HARDEST, NEAREST
from speakerd.training.meta.space import projected

Params = dict[str, Tensor]
Loss = Callable[[Params], Tensor]

STEPS = 5


@dataclass(frozen=True)
class Task:
    """What the inner loop learns from. ``support`` (n, d) unit vectors of the space; ``member`` (n, commands): the
    example's weight in the column of its command, else 0; ``others`` (m, d): world and room; ``share`` (m,): how much
    each counts, 0 for padding; ``near`` (m, 2): ``strangers`` of the others among themselves."""

    support: Tensor
    member: Tensor
    others: Tensor
    share: Tensor
    near: Tensor


# How a method learns a task: head and metric at the start and after each step.
Learn = Callable[[Params, Task], list[Params]]


def first_params(dimension: int, steps: int = STEPS) -> Params:
    """Where meta-learning starts: prototypes, scores relative to strangers, small steps, the space as it is."""
    return {
        "lean": torch.tensor(0.105),  # of a score, for each deviation above the strangers near the utterance
        "typical": torch.tensor(0.06),  # the same of those near the prototype
        "likelihood": torch.tensor(0.006),  # of a score, for each unit of log likelihood ratio
        "within": torch.tensor(0.5),  # the share of variance that lies within a command
        "scale": torch.tensor(2.0),  # log of the temperature of the losses
        "reach": torch.tensor(0.8),  # the score that examples should reach
        "limit": torch.tensor(0.25),  # the score that strangers should stay below
        "hardness": torch.tensor(2.0),  # log of how much the nearest strangers outweigh the others
        "balance": torch.tensor(0.0),  # log of the weight of strangers against examples
        "trust": torch.tensor(0.0),  # log of the number of examples that is trusted by half
        "pull": torch.full((steps,), -2.0),  # the pull towards the start, before a sigmoid
        "step_w": torch.full((steps,), -3.0),  # log of the step sizes
        "step_b": torch.full((steps,), -5.5),
        "step_metric": torch.full((steps,), -6.0),
        "metric": torch.zeros(dimension, dimension),
    }


def nearness(vectors: Tensor, others: Tensor, share: Tensor, themselves: bool = False) -> Tensor:
    """How near the others (m, d) come to vectors (n, d): mean and deviation of the cosines to the nearest of them,
    (n, 2). ``themselves``: the vectors are the others, and none is near to itself."""
    closeness = torch.where(share > 0, vectors @ others.T, -2.0)
    if themselves:
        closeness = closeness - 3 * torch.eye(len(others))
    nearest = closeness.topk(min(NEAREST, len(others)), dim=1).values
    mean = nearest.mean(dim=1)
    variance = (nearest - mean[:, None]).square().mean(dim=1)
    return torch.stack([mean, (variance + 1e-6).sqrt()], dim=1)


def strangers(params: Params, vectors: Tensor, others: Tensor, share: Tensor, themselves: bool = False) -> Tensor:
    """What scores are taken relative to (n, 2): the mean of ``nearness``, and what one above it is worth."""
    near = nearness(vectors, others, share, themselves)
    return torch.stack([near[:, 0], params["lean"] / near[:, 1]], dim=1)


def directions(head: Params) -> Tensor:
    """Unit vectors (commands, d)."""
    return head["w"] / (head["w"].square().sum(dim=1, keepdim=True) + 1e-12).sqrt()


def scores(head: Params, vectors: Tensor, near: Tensor) -> Tensor:
    """Scores (n, commands) of vectors (n, d); ``near`` (n, 2) is ``strangers`` of them."""
    above = vectors @ directions(head).T - near[:, :1]
    return vectors @ head["w"].T + head["b"] + near[:, 1:] * above


def open_set_loss(params: Params, task: Task, first: Params) -> Loss:
    """The loss as a function of the head (``w``, ``b``): examples should reach one score, the strangers nearest to the
    start of the head stay below another. Summed over commands, each by as much as its examples are trusted."""
    scale = params["scale"].exp()
    near = strangers(params, task.support, task.others, task.share)
    weight = task.share.clamp(min=1e-30).log()
    chosen = (first["w"].detach() @ task.others.T + weight).topk(min(HARDEST, len(task.others)), dim=1).indices
    hard, hard_near, hard_weight = task.others[chosen], task.near[chosen], weight[chosen]
    count = task.member.sum(dim=0)
    part = task.member / (count + 1e-12) * (count / (count + params["trust"].exp()))
    trusted = part.sum(dim=0)

    def loss(head: Params) -> Tensor:
        own = scores(head, task.support, near)
        missed = (part * F.softplus(scale * (params["reach"] - own))).sum()
        above = (hard @ directions(head).unsqueeze(2)).squeeze(2) - hard_near[:, :, 0]
        against = (hard @ head["w"].unsqueeze(2)).squeeze(2) + head["b"][:, None] + hard_near[:, :, 1] * above
        hardest = torch.softmax(params["hardness"].exp() * against.detach() + hard_weight, dim=1)
        accepted = (trusted[:, None] * hardest * F.softplus(scale * (against - params["limit"]))).sum()
        return (missed + params["balance"].exp() * accepted) / scale

    return loss


def descend(loss: Loss, first: Params, params: Params, second_order: bool = True) -> list[Params]:
    """Gradient descent from ``first``, with a step size for each step and part and a pull back to the start: what is
    learned at the start and after each step. Without ``second_order`` the outer loop takes the slopes for constants."""
    learned = [first]
    for i in range(len(params["pull"])):
        now = learned[-1]
        slope = grad(loss)(now)
        if not second_order:
            slope = {part: value.detach() for part, value in slope.items()}
        back = torch.sigmoid(params["pull"][i])
        learned.append(
            {
                part: now[part] - params[f"step_{part}"][i].exp() * slope[part] + back * (first[part] - now[part])
                for part in now
            }
        )
    return learned


def moved(task: Task, metric: Tensor, params: Params) -> Task:
    """The task in another metric; its vectors are those of the first space."""
    others = projected(metric, task.others)
    near = strangers(params, others, others, task.share, themselves=True)
    return replace(task, support=projected(metric, task.support), others=others, near=near)
