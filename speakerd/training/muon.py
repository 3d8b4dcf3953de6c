"""Muon: gradient descent in which every direction of a layer's weights moves by the same amount."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from speakerd.training.model import BFLOAT16
from speakerd.training.train import Student

MOMENTUM = 0.95
AS_ADAM = 0.2  # root mean square of what a step changes, so that both take the same rates (arXiv 2502.16982)


class Muon(torch.optim.Optimizer):
    """For weights (outputs, ...), which are taken as matrices (Jordan et al. 2024, arXiv 2502.16982).
    models/card.md has what it was worth: more of the losses than of words that were held out."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Weights without a gradient stay as they are."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
            for weight in (weight for weight in group["params"] if weight.grad is not None):
                alike[len(weight), weight[0].numel()].append(weight)
            for shape, weights in alike.items():  # together: they are small, and many
                slopes = [self._slope(weight).reshape(shape) for weight in weights]
                turned = even(torch.stack(slopes)) * (AS_ADAM * max(shape) ** 0.5)
                for weight, change in zip(weights, turned, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.sub_(change.reshape(weight.shape), alpha=group["lr"])

    def _slope(self, weight: nn.Parameter) -> Tensor:
        """The gradient with Nesterov's momentum."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum: Tensor = state["momentum"]
        momentum.lerp_(weight.grad, 1 - MOMENTUM)
        return weight.grad.lerp(momentum, MOMENTUM)


def even(matrices: Tensor) -> Tensor:
    """Matrices (n, rows, columns) with singular values of about one: five steps of Newton and Schulz, with factors that
    need not end at one to be fast."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(torch.bfloat16 if BFLOAT16 else torch.float32)
    for _ in range(5):
        square = x @ x.mT
        fourth = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, fourth, x, beta=3.4445)
    return (x.mT if tall else x).to(matrices.dtype)


def optimizers(student: Student, rate: float, decay: float) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the layers that embeddings pass through, AdamW for the rest."""
    layers = [conv.weight for conv in student.trunk.convs if not conv.zero_sum] + [student.head.project.weight]
    ours = set(map(id, layers))
    rest = [weight for weight in student.parameters() if id(weight) not in ours]
    return Muon(layers, rate, decay), torch.optim.AdamW(rest, rate, weight_decay=decay, fused=True)
