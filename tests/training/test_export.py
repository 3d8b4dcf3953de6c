"""What ships is what was trained."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from speakerd.recognition.encoder import TrunkEncoder
from speakerd.training import export as exporting
from speakerd.training.augment import features
from speakerd.training.export import export
from speakerd.training.model import Head, Trunk
from tests.running import LAMP, NIGHT, clip

# Weights ship in eight bits, each up to one part in 254 of its output's largest off: errors of many weights cancel.
SMALL_FRAMES, SMALL_EMBEDDING = 4e-2, 2e-2


@pytest.fixture(scope="module")
def trained() -> tuple[Trunk, Head]:
    """A small student that has heard something."""
    torch.manual_seed(0)
    trunk = Trunk()
    head = Head(trunk.width)
    heard = features(torch.from_numpy(np.stack([clip(LAMP)[:20480], clip(NIGHT)[:20480]])))
    for _ in range(3):  # batch normalisation takes note
        head(trunk(heard)[0], torch.ones(2, 16))
    return trunk.eval(), head.eval()


@pytest.fixture(scope="module")
def shipped(trained: tuple[Trunk, Head], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    export(*trained, folder, "a name")
    return folder


@pytest.fixture(scope="module")
def exact(trained: tuple[Trunk, Head], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without rounding."""
    folder = tmp_path_factory.mktemp("exact")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "shrink", lambda model: None)
        export(*trained, folder, "a name")
    return folder


def compare(trained: tuple[Trunk, Head], folder: Path) -> tuple[float, float]:
    """The largest differences of frames (as a share of the largest frame) and of embeddings between torch, which hears
    the whole at once, and the daemon's runtime, which hears it bit by bit."""
    trunk, head = trained
    samples = clip(LAMP)[:24320]
    with torch.no_grad():
        frames, _ = trunk(features(torch.from_numpy(samples)[None])[:, : 8 * (len(samples) // 1280)])
        embedding = head(frames[:, 3:15], torch.ones(1, 12))[0].numpy()
    encoder = TrunkEncoder(folder)
    stream = encoder.stream()
    pieces = [stream.push(part) for part in np.array_split(samples, 11)]
    streamed = np.concatenate([piece for piece in pieces if len(piece)])
    assert streamed.shape == frames[0].shape
    pooled = encoder.pool(streamed, [slice(3, 15), slice(0, 5)])[0]
    whole = frames[0].numpy()
    return float(np.abs(streamed - whole).max() / np.abs(whole).max()), float(np.abs(pooled - embedding).max())


def test_the_graphs_compute_what_torch_computes(trained: tuple[Trunk, Head], exact: Path) -> None:
    frames, embedding = compare(trained, exact)
    assert frames < 1e-4
    assert embedding < 1e-4


def test_rounding_the_weights_costs_next_to_nothing(trained: tuple[Trunk, Head], shipped: Path) -> None:
    frames, embedding = compare(trained, shipped)
    assert frames < SMALL_FRAMES
    assert embedding < SMALL_EMBEDDING


def test_large_weights_are_stored_small(shipped: Path, exact: Path) -> None:
    for part in ("encoder.onnx", "pool.onnx"):
        graph = onnx.load(shipped / part).graph
        large = [tensor for tensor in graph.initializer if len(tensor.dims) > 1 and np.prod(tensor.dims) >= 1024]
        assert large
        assert {tensor.data_type for tensor in large} == {TensorProto.INT8}
        assert (shipped / part).stat().st_size < 0.4 * (exact / part).stat().st_size


def test_both_parts_say_what_they_are(shipped: Path, exact: Path) -> None:
    encoder = TrunkEncoder(shipped)
    assert (encoder.name, encoder.dimension) == ("a name", 192)
    assert encoder.id != TrunkEncoder(exact).id, "other weights are another encoder"
    for part in ("encoder.onnx", "pool.onnx"):
        about = {entry.key: entry.value for entry in onnx.load(shipped / part).metadata_props}
        assert about == {
            "format": "2", "name": "a name", "id": about["id"], "sample_rate": "16000", "hop": "1280",
            "dimension": "192",
        }  # fmt: skip
        assert encoder.id.startswith(about["id"][:8])


def test_nothing_of_the_machine_goes_along(shipped: Path) -> None:
    here = str(Path(__file__).parents[2]).encode()
    for part in ("encoder.onnx", "pool.onnx"):
        said = (shipped / part).read_bytes()
        assert here not in said
        assert b".py" not in said
