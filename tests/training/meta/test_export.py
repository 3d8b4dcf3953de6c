"""What onnxruntime does is what torch did."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from speakerd.recognition.head import Adapter, scores
from speakerd.training.meta import anil
from speakerd.training.meta.inner import Params, Task, strangers
from speakerd.training.meta.inner import scores as torch_scores
from tests.training.meta.tasks import DIMENSION, task, vectors

NOTHING = np.zeros((0, DIMENSION), np.float32)


def given(one: Task) -> tuple[np.ndarray, np.ndarray]:
    return one.support.numpy(), one.member.numpy()


@pytest.mark.parametrize(("ways", "shots"), [(1, 1), (1, 3), (2, 40), (20, 10), (100, 3)])
@pytest.mark.parametrize("others", [130, 2000])
def test_equal_to_torch(params: Params, shipped: Path, ways: int, shots: int, others: int) -> None:
    one = task(params, ways, shots, others)
    one.member[1::3] *= 0.2
    expected = anil.adapt(params, one)[-1]
    heads = Adapter(shipped, "some encoder").adapt(*given(one), one.others.numpy(), NOTHING)
    np.testing.assert_allclose(heads.weights, expected["w"].numpy(), atol=1e-4)
    np.testing.assert_allclose(heads.bias, expected["b"].numpy(), atol=1e-4)


def test_room_and_few_strangers(params: Params, shipped: Path) -> None:
    """What the room sounds like counts as the world does; fewer strangers than the graph looks at are filled up."""
    one = task(params, 3, 3, 100)
    adapter = Adapter(shipped, "some encoder")
    heads = adapter.adapt(*given(one), one.others[:60].numpy(), one.others[60:].numpy())
    padded = Task(
        one.support, one.member, torch.cat([one.others, torch.zeros(28, DIMENSION)]),
        torch.cat([one.share, torch.zeros(28)]), torch.cat([one.near, torch.zeros(28, 2)]),
    )  # fmt: skip
    np.testing.assert_allclose(heads.weights, anil.adapt(params, padded)[-1]["w"].numpy(), atol=1e-4)


def test_scores_equal_those_of_torch(params: Params, shipped: Path) -> None:
    one = task(params, 5, 3)
    tried = vectors(200, seed=7)
    head = anil.adapt(params, one)[-1]
    expected = torch_scores(head, tried, strangers(params, tried, one.others, one.share))
    adapter = Adapter(shipped, "some encoder")
    heads = adapter.adapt(*given(one), one.others.numpy(), NOTHING)
    found = scores(heads, tried.numpy(), adapter.strangers(tried.numpy(), one.others.numpy()))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_quick_enough_for_a_small_computer(params: Params, shipped: Path) -> None:
    """Twenty commands of ten examples; under 5 ms on an idle x86 core, and this one may be busy."""
    one = task(params, 20, 10, 2000)
    adapter, world = Adapter(shipped, "some encoder"), one.others.numpy()
    took = []
    for _ in range(30):
        begun = time.perf_counter()
        adapter.adapt(*given(one), world, NOTHING)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.02
