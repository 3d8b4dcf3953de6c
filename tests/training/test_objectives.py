"""The losses, by hand and on a toy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from speakerd.training.objectives import AmSoftmax, contrast, frame_distillation, word_distillation


def by_hand(weight: np.ndarray, embeddings: np.ndarray, labels: list[int], margin: float, scale: float) -> float:
    losses = []
    for vector, label in zip(embeddings, labels, strict=True):
        cosines = [float(vector @ row / np.linalg.norm(row)) for row in weight]
        cosines[label] -= margin
        losses.append(np.log(sum(np.exp(scale * c) for c in cosines)) - scale * cosines[label])
    return float(np.mean(losses))


def units(many: int, size: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(many, size, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_am_softmax_by_hand(margin: float) -> None:
    loss = AmSoftmax(8, 5, margin)
    embeddings, labels = units(6, 8, 1), [0, 1, 2, 3, 4, 0]
    expected = by_hand(loss.weight.detach().numpy(), embeddings.numpy(), labels, margin, 24.0)
    assert float(loss(embeddings, torch.tensor(labels)).detach()) == pytest.approx(expected, rel=1e-4)


def test_am_softmax_pulls_words_apart() -> None:
    """A toy: four words in three dimensions, which a linear map must turn so that each finds its own direction."""
    torch.manual_seed(0)
    centres = units(4, 3, 2)
    labels = torch.arange(4).repeat(25)
    points = centres[labels] + 0.15 * torch.randn(100, 3)
    model, loss = torch.nn.Linear(3, 16), AmSoftmax(16, 4, 0.2)
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], lr=0.02)
    values = []
    for _ in range(150):
        value = loss(F.normalize(model(points), dim=1), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.1 * values[0]
    with torch.no_grad():
        named = (F.normalize(model(points), dim=1) @ F.normalize(loss.weight, dim=1).T).argmax(dim=1)
    assert (named == labels).float().mean() > 0.97


def test_of_many_classes_a_step_sees_its_own_and_a_sample() -> None:
    few = AmSoftmax(8, 1000, 0.1, sample=50)
    embeddings, labels = units(20, 8, 3), torch.arange(20) * 50
    torch.manual_seed(4)
    few(embeddings, labels).backward()
    assert few.weight.grad is not None
    touched = set(torch.nonzero(few.weight.grad.abs().sum(dim=1))[:, 0].tolist())
    assert set(labels.tolist()) <= touched
    assert 50 <= len(touched) <= 70
    # fewer others to be mistaken for, and otherwise the same
    everything = AmSoftmax(8, 1000, 0.1, sample=1000)
    everything.load_state_dict(few.state_dict())
    full = by_hand(few.weight.detach().numpy(), embeddings.numpy(), labels.tolist(), 0.1, 24.0)
    with torch.no_grad():
        assert float(everything(embeddings, labels)) == pytest.approx(full, rel=1e-3)
        assert float(few(embeddings, labels)) < full


def test_distillation_is_nothing_at_the_target_and_grows_away_from_it() -> None:
    target = torch.randn(2, 5, 96, generator=torch.Generator().manual_seed(5))
    assert float(frame_distillation(target, target)) == pytest.approx(0, abs=1e-5)
    assert float(frame_distillation(2 * target, target)) == pytest.approx(0.1 * float(target.square().mean()), rel=1e-4)
    assert float(frame_distillation(-target, target)) == pytest.approx(
        2 + 0.4 * float(target.square().mean()), rel=1e-4
    )
    words = torch.eye(96)[:4]
    assert float(word_distillation(3 * words, words)) == pytest.approx(0, abs=1e-6)
    assert float(word_distillation(torch.eye(96)[4:8], words)) == pytest.approx(1)


def test_contrast_tells_targets_apart_and_spares_those_that_are_alike() -> None:
    target = units(6, 16, 7)
    twins = torch.cat([target, target[:1]])
    assert float(contrast(target, target)) < 0.05
    assert float(contrast(target.roll(1, 0), target)) > 5, "everyone has another's"
    assert float(contrast(twins, twins)) == pytest.approx(float(contrast(target, target)), abs=0.02)
    moved = target.roll(1, 0).clone().requires_grad_()
    contrast(moved, target).backward()  # type: ignore[no-untyped-call]
    assert moved.grad is not None
    after = contrast(moved.detach() - 0.5 * moved.grad / moved.grad.norm(), target)
    assert float(after) < float(contrast(moved.detach(), target))
