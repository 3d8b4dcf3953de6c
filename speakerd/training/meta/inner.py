"""The inner loop: from a few examples of each command to its head, in a few steps of gradient descent.

A command's score is linear in a learned space: ``s(u, c) = w_c . phi(u) + b_c - strangers(phi(u))``, where
``strangers`` says how near the rest of the world comes. The head starts as the prototypes (start.py); each step lowers
an open-set loss, in which every command stands against the world by itself and only a small term knows the others. What
cannot be known from three examples (step sizes, temperatures, margins, how far to leave the start) is meta-learned.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.func import grad

from speakerd.recognition.head import HARDEST
from speakerd.training.meta.space import projected

Params = dict[str, Tensor]
Loss = Callable[[Params], Tensor]

STEPS = 5


@dataclass(frozen=True)
class Task:
    """What the inner loop learns from. ``support`` (n, d) unit vectors of the space; ``member`` (n, commands): the
    example's weight in the column of its command, else 0; ``others`` (m, d): world and room; ``share`` (m,): how much
    each counts, 0 for padding; ``near`` (m,): ``strangers`` of the others themselves."""

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
        "sharpness": torch.tensor(3.3),  # log of the temperature that strangers are counted with
        "unlike": torch.tensor(0.45),  # how much strangers near the utterance count
        "shared": torch.tensor(0.45),  # how much strangers near the prototype count
        "scale": torch.tensor(2.5),  # log of the temperature of the losses
        "reach": torch.tensor(0.45),  # the score that examples should reach
        "limit": torch.tensor(0.15),  # the score that strangers should stay below
        "hardness": torch.tensor(2.5),  # log of how much the nearest strangers outweigh the others
        "balance": torch.tensor(0.0),  # log of the weight of strangers against examples
        "naming": torch.tensor(-3.0),  # log of the weight of the naming term
        "trust": torch.tensor(0.0),  # log of the number of examples that is trusted by half
        "pull": torch.full((steps,), -2.0),  # the pull towards the start, before a sigmoid
        "step_w": torch.full((steps,), -3.5),  # log of the step sizes
        "step_b": torch.full((steps,), -6.0),
        "step_metric": torch.full((steps,), -6.0),
        "metric": torch.zeros(dimension, dimension),
    }


def nearness(params: Params, vectors: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """How near the others (m, d) come to vectors (n, d): a soft maximum of cosines, (n,)."""
    sharp = params["sharpness"].exp()
    counted = torch.exp(sharp * (vectors @ others.T - 1)) @ (share / share.sum())
    return torch.log(counted + 1e-30) / sharp + 1


def strangers(params: Params, vectors: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """What is taken off an utterance's scores for every command."""
    return params["unlike"] * nearness(params, vectors, others, share)


def scores(head: Params, vectors: Tensor, off: Tensor) -> Tensor:
    """Scores (n, commands) of vectors (n, d); ``off`` (n,) is ``strangers`` of them."""
    return vectors @ head["w"].T + head["b"] - off[:, None]


def open_set_loss(params: Params, task: Task, first: Params) -> Loss:
    """The loss as a function of the head (``w``, ``b``): examples should reach one score, the strangers nearest to the
    start of the head stay below another; a small term for the name. Summed over commands, each by as much as its
    examples are trusted."""
    scale = params["scale"].exp()
    off = strangers(params, task.support, task.others, task.share)
    weight = task.share.clamp(min=1e-30).log()
    chosen = (first["w"].detach() @ task.others.T + weight).topk(min(HARDEST, len(task.others)), dim=1).indices
    hard, hard_off, hard_weight = task.others[chosen], task.near[chosen], weight[chosen]
    count = task.member.sum(dim=0)
    part = task.member / (count + 1e-12) * (count / (count + params["trust"].exp()))
    trusted = part.sum(dim=0)

    def loss(head: Params) -> Tensor:
        own = scores(head, task.support, off)
        missed = (part * F.softplus(scale * (params["reach"] - own))).sum()
        against = (hard @ head["w"].unsqueeze(2)).squeeze(2) + head["b"][:, None] - hard_off
        hardest = torch.softmax(params["hardness"].exp() * against.detach() + hard_weight, dim=1)
        accepted = (trusted[:, None] * hardest * F.softplus(scale * (against - params["limit"]))).sum()
        named = -(part * F.log_softmax(scale * own, dim=1)).sum()
        return (missed + params["balance"].exp() * accepted + params["naming"].exp() * named) / scale

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
    near = strangers(params, others, others, task.share)
    return replace(task, support=projected(metric, task.support), others=others, near=near)
