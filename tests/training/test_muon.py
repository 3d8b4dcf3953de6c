"""Muon, by its definition."""

import pytest
import torch
from torch import nn

from speakerd.training.model import BFLOAT16, SMALL
from speakerd.training.muon import AS_ADAM, MOMENTUM, Muon, even, optimizers
from speakerd.training.train import Student


@pytest.mark.parametrize("shape", [(3, 24, 72), (2, 72, 24), (1, 40, 40)])
def test_singular_values_are_brought_to_about_one_and_directions_stay(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    values = torch.linspace(1.0, 0.05, min(shape[1:]))
    turned = left.mT @ even(left * values * 7.0 @ right) @ right.mT
    found = torch.diagonal(turned, dim1=1, dim2=2)
    assert found.min() > 0.6 and found.max() < 1.3
    assert (turned - torch.diag_embed(found)).abs().max() < (0.1 if BFLOAT16 else 1e-3)


def test_a_step_is_as_large_whatever_the_slope() -> None:
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.zeros(24, 12, 3, 1)) for _ in range(3)]
    stepper = Muon(weights, lr=0.01, weight_decay=0.0)
    slope = torch.randn(24, 12, 3, 1)
    weights[0].grad, weights[1].grad = slope, 1000 * slope
    stepper.step()
    assert weights[0].square().mean().sqrt().item() == pytest.approx(0.01 * AS_ADAM, rel=0.2)
    assert (weights[0] - weights[1]).abs().max() < 1e-4
    assert (weights[0] * slope).sum() < 0, "downhill"
    assert not weights[2].any(), "no slope, no step"


def test_momentum_carries_on_and_decay_draws_back() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(8, 8))
    stepper = Muon([weight], lr=0.01, weight_decay=0.5)
    first, second = torch.randn(8, 8), torch.randn(8, 8)
    momentum = torch.zeros(8, 8)
    expected = torch.zeros(8, 8)
    for slope in (first, second):
        weight.grad = slope.clone()
        stepper.step()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * slope
        mixed = (1 - MOMENTUM) * slope + MOMENTUM * momentum
        expected = expected * (1 - 0.01 * 0.5) - 0.01 * AS_ADAM * 8**0.5 * even(mixed[None])[0]
    assert torch.allclose(weight.detach(), expected, atol=1e-5)


def test_every_weight_is_learned_by_one_of_the_two() -> None:
    student = Student(5, 7, SMALL)
    muon, adam = (
        [weight for group in one.param_groups for weight in group["params"]] for one in optimizers(student, 1e-3, 0.01)
    )
    assert sorted(map(id, muon + adam)) == sorted(map(id, student.parameters()))
    assert all(weight.dim() > 1 for weight in muon)
    assert any(weight is student.head.project.weight for weight in muon)
    assert any(weight is student.trunk.stem.weight for weight in adam)
