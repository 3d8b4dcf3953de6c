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
from speakerd.training.model import STRIDE, Head, Trunk

FORMAT = "1"


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
        (torch.zeros(2, 5, trunk.width), torch.ones(2, 5)),
        {"frames": {0: runs, 1: frames}, "mask": {0: runs, 1: frames}},
        (["frames", "mask"], ["embedding"]),
        folder / "pool.onnx",
    )
    both = b"".join((folder / part).read_bytes() for part in ("encoder.onnx", "pool.onnx"))
    about = {
        "format": FORMAT,
        "name": name,
        "id": hashlib.sha256(both).hexdigest()[:16],
        "sample_rate": str(SAMPLE_RATE),
        "hop": str(HOP * STRIDE),
        "dimension": str(head.project.out_features),
    }
    for part in ("encoder.onnx", "pool.onnx"):
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
    _shrink(model)
    model.doc_string = ""
    for node in model.graph.node:  # stack traces of the exporting machine are nobody's business
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _shrink(model: onnx.ModelProto) -> None:
    """Store filters as int8 with a scale for each output, other large weights as float16; onnxruntime brings them back
    when it loads (it folds what does not depend on the input)."""
    graph = model.graph
    before = []
    filters = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 256:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        graph.initializer.remove(tensor)
        if name in filters or name.endswith("stem.weight"):
            scale = np.maximum(np.abs(values).max(axis=(1, 2), keepdims=True), 1e-9) / 127
            small, stored = np.round(values / scale).astype(np.int8), f"{name}_int8"
            graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"))
            before.append(helper.make_node("Cast", [stored], [f"{name}_whole"], to=TensorProto.FLOAT))
            before.append(helper.make_node("Mul", [f"{name}_whole", f"{name}_scale"], [name]))
        else:
            small, stored = values.astype(np.float16), f"{name}_half"
            before.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
        graph.initializer.append(numpy_helper.from_array(small, stored))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(before + nodes)
