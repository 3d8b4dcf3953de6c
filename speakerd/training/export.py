"""From a trained student to the files that ship: encoder.onnx (streaming trunk) and pool.onnx (pooling head)."""

import hashlib
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from speakerd.audio.features import HOP, MELS, SAMPLE_RATE
from speakerd.recognition.encoder import FORMAT
from speakerd.training.model import STRIDE, Head, Trunk

PARTS = ("encoder.onnx", "pool.onnx")


class _StreamingTrunk(nn.Module):
    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        frames, after = self.trunk(features, state)
        return frames, after


def export(trunk: Trunk, head: Head, folder: Path, name: str) -> None:
    """Write both graphs, weights stored small, with the metadata that the runtime checks."""
    folder.mkdir(parents=True, exist_ok=True)
    trunk.eval()
    head.eval()
    blocks = torch.export.Dim("blocks", min=1, max=100_000)
    runs, frames = torch.export.Dim("runs", min=1, max=10_000), torch.export.Dim("frames", min=1, max=10_000)
    _write(
        _StreamingTrunk(trunk),
        (torch.zeros(1, 3 * STRIDE, MELS), torch.zeros(1, trunk.state_size)),
        {"features": {1: STRIDE * blocks}, "state": None},
        (["features", "state"], ["frames", "next_state"]),
        folder / "encoder.onnx",
    )
    _write(
        head,
        (torch.zeros(5, trunk.width), torch.ones(2, 5)),  # runs of one stream, which share its frames
        {"frames": {0: frames}, "mask": {0: runs, 1: frames}},
        (["frames", "mask"], ["embedding"]),
        folder / "pool.onnx",
    )
    seal(folder, name, head.project.out_features)


def seal(folder: Path, name: str, dimension: int) -> None:
    """Write into the metadata of both parts what they are, and that they belong together."""
    both = b"".join((folder / part).read_bytes() for part in PARTS)
    about = {
        "format": FORMAT,
        "name": name,
        "id": hashlib.sha256(both).hexdigest()[:16],
        "sample_rate": str(SAMPLE_RATE),
        "hop": str(HOP * STRIDE),
        "dimension": str(dimension),
    }
    for part in PARTS:
        model = onnx.load(folder / part)
        helper.set_model_props(model, about)
        onnx.save(model, folder / part)


def _write(
    module: nn.Module,
    example: tuple[Tensor, ...],
    dynamic: dict[str, dict[int, object] | None],
    names: tuple[list[str], list[str]],
    path: Path,
) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, example, dynamo=True, input_names=names[0], output_names=names[1],
            dynamic_shapes=tuple(dynamic.values()), optimize=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    shrink(model)
    model.doc_string = ""
    for node in model.graph.node:  # stack traces of the exporting machine are nobody's business
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)


def shrink(model: onnx.ModelProto) -> None:
    """Store large weights in eight bits with a scale for each output.

    onnxruntime brings them back when it loads: what does not depend on the input is worked out once. Small ones stay as
    they are: they save nothing, and the first filters would no longer sum to zero.
    """
    graph = model.graph
    before = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2 or np.prod(tensor.dims) < 1024:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        most = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = np.maximum(most, 1e-9).astype(np.float32) / 127
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(np.round(values / scale).astype(np.int8), f"{name}_eight"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        before.append(helper.make_node("Cast", [f"{name}_eight"], [f"{name}_wide"], to=TensorProto.FLOAT))
        before.append(helper.make_node("Mul", [f"{name}_wide", f"{name}_scale"], [name]))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(before + nodes)
