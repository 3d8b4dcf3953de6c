"""From a trained student to the files that ship: encoder.onnx (streaming trunk) and pool.onnx (pooling head)."""

import hashlib
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from speakerd.audio.features import HOP, MELS, SAMPLE_RATE
from speakerd.training.model import STRIDE, Head, Trunk

FORMAT = "1"
PARTS = ("encoder.onnx", "pool.onnx")
MIDDLE = 31  # of the levels of six bits


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
    """Store large weights in six bits with a scale for each output (four in three bytes), vectors as float16.

    onnxruntime brings them back when it loads: what does not depend on the input is worked out once.
    """
    graph = model.graph
    before = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 256:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        graph.initializer.remove(tensor)
        if values.ndim == 1 or values.size % 4:
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            before.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
            continue
        levels, scale = _levels(values)
        parts: dict[str, NDArray[Any]] = {
            "packed": _packed(levels), "bytes": np.array([1, 256, 65536], np.int32), "sums": np.array([1], np.int64),
            "sixes": np.array([1, 64, 4096, 262144], np.int32), "range": np.array(64, np.int32),
            "shape": np.array(values.shape, np.int64), "middle": np.array(MIDDLE, np.float32), "scale": scale,
        }  # fmt: skip
        for part, value in parts.items():
            graph.initializer.append(numpy_helper.from_array(value, f"{name}_{part}"))
        steps: list[tuple[str, str, str, str, dict[str, Any]]] = [
            ("Cast", "packed", "", "wide", {"to": TensorProto.INT32}), ("Mul", "wide", "bytes", "apart", {}),
            ("ReduceSum", "apart", "sums", "whole", {}), ("Div", "whole", "sixes", "above", {}),
            ("Mod", "above", "range", "level", {}), ("Reshape", "level", "shape", "placed", {}),
            ("Cast", "placed", "", "plain", {"to": TensorProto.FLOAT}), ("Sub", "plain", "middle", "centred", {}),
        ]  # fmt: skip
        for kind, one, other, out, options in steps:
            inputs = [f"{name}_{one}"] + ([f"{name}_{other}"] if other else [])
            before.append(helper.make_node(kind, inputs, [f"{name}_{out}"], **options))
        before.append(helper.make_node("Mul", [f"{name}_centred", f"{name}_scale"], [name]))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(before + nodes)


def _levels(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Weights as levels 0 to 2 MIDDLE and the scale of each output; the scale that loses least, of some."""
    others = tuple(range(1, values.ndim))
    most = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-9) / MIDDLE
    best, scale, least = np.zeros_like(values), most, np.full_like(most, np.inf)
    for share in (1.0, 0.9, 0.8, 0.7):
        level = np.clip(np.round(values / (share * most)), -MIDDLE, MIDDLE)
        lost = np.square(level * share * most - values).sum(axis=others, keepdims=True)
        better = lost < least
        best, scale = np.where(better, level, best), np.where(better, share * most, scale)
        least = np.minimum(lost, least)
    return (best + MIDDLE).astype(np.uint8), scale.astype(np.float32)


def _packed(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Four levels of six bits in three bytes: (levels / 4, 3)."""
    fours = levels.reshape(-1, 4).astype(np.uint32)
    whole = fours @ np.array([1, 64, 4096, 262144], np.uint32)
    return np.stack([whole & 255, whole >> 8 & 255, whole >> 16], axis=1).astype(np.uint8)


def restored(model: onnx.ModelProto) -> None:
    """Undo ``shrink``, in whatever way it stored weights: nodes that depend on no input become initializers again. The
    mean of the first filters stays to be taken off after rounding, or they would no longer sum to zero."""
    graph = model.graph
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    stored = [
        node
        for node in graph.node
        if node.input and node.op_type != "ReduceMean" and all(name in known for name in node.input)
    ]
    if not stored:
        return
    first = helper.make_graph(
        stored, "stored", [], [helper.make_empty_tensor_value_info(out) for node in stored for out in node.output],
        [tensor for tensor in graph.initializer if any(tensor.name in node.input for node in stored)],
    )  # fmt: skip
    constants = helper.make_model(first, opset_imports=model.opset_import, ir_version=model.ir_version)
    names = [out for node in stored for out in node.output]
    values = dict(zip(names, ReferenceEvaluator(constants).run(None, {}), strict=True))
    for node in stored:
        graph.node.remove(node)
    for name, value in values.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    restored(model)  # what depends on these alone
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
