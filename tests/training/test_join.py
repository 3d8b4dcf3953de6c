"""Two encoders as one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from speakerd.recognition.encoder import TrunkEncoder
from speakerd.training.export import export
from speakerd.training.join import join
from speakerd.training.model import Head, Trunk
from tests.running import LAMP, clip


def small(folder: Path, width: int, seed: int) -> Path:
    """An encoder of its own width that nobody trained."""
    torch.manual_seed(seed)
    trunk = Trunk((16, 24, width), (3, 3, 3, 3, 3, 3, 3))
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.weight.data.uniform_(0.5, 1.5)
    export(trunk, Head(width, size=width), folder, f"of width {width}")
    return folder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrunkEncoder, TrunkEncoder, TrunkEncoder]:
    folder = tmp_path_factory.mktemp("join")
    one, other = small(folder / "one", 32, 1), small(folder / "other", 48, 2)
    join(one, other, folder / "both", "both")
    return TrunkEncoder(one), TrunkEncoder(other), TrunkEncoder(folder / "both")


def test_frames_and_embeddings_are_those_of_both(encoders: tuple[TrunkEncoder, ...]) -> None:
    both = encoders[2]
    assert (both.name, both.dimension) == ("both", 80)
    samples = clip(LAMP)[:24320]
    frames = [encoder.stream().push(samples) for encoder in encoders]
    assert frames[2].shape == (len(frames[0]), 80)
    # weights are rounded a second time
    apart = np.concatenate(frames[:2], axis=1)
    assert np.abs(frames[2] - apart).max() < 0.05 * np.abs(apart).max()
    (first,), (second,), (joined,) = (e.pool([f[2:12]]) for e, f in zip(encoders, frames, strict=True))
    assert np.linalg.norm(joined) == pytest.approx(1, abs=1e-5)
    assert float(joined[:32] @ first) * 2**0.5 > 0.99
    assert float(joined[32:] @ second) * 2**0.5 > 0.99


def test_streaming_equals_the_whole(encoders: tuple[TrunkEncoder, ...]) -> None:
    *_, both = encoders
    samples = clip(LAMP)[:24320]
    stream = both.stream()
    parts = [stream.push(part) for part in np.array_split(samples, 7)]
    whole = both.stream().push(samples)
    np.testing.assert_allclose(
        np.concatenate([part for part in parts if len(part)]), whole, atol=1e-5 * np.abs(whole).max()
    )
