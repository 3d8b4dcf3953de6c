"""Two encoders side by side, as one: frames and embeddings of both, joined.

Students that learned from different targets make different mistakes; joined they make fewer than either, at the cost of
both. It works on the exported graphs, so that an encoder that shipped before can stand beside a new one.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, compose, helper, numpy_helper

from speakerd.training.export import PARTS, restored, seal, shrink


def join(one: Path, other: Path, folder: Path, name: str) -> None:
    """Write to ``folder`` the encoder whose embeddings are those of the encoders in folders ``one`` and ``other``."""
    first, second = (
        {part: _read(models / part, prefix) for part in PARTS} for models, prefix in ((one, "a_"), (other, "b_"))
    )
    sizes = [_width(models["encoder.onnx"], "state") for models in (first, second)]
    widths = [_width(models["pool.onnx"], "frames") for models in (first, second)]
    dimensions = [_dimension(models / "encoder.onnx") for models in (one, other)]
    trunk = _beside(
        (first["encoder.onnx"], second["encoder.onnx"]),
        shared=[("features", ["batch", "time", _width(first["encoder.onnx"], "features")])],
        divided=[("state", 1, sizes, ["batch", sum(sizes)])],
        joined=[("frames", 2, ["batch", "frames", sum(widths)]), ("next_state", 1, ["batch", sum(sizes)])],
    )
    pool = _beside(
        (first["pool.onnx"], second["pool.onnx"]),
        shared=[("mask", ["runs", "frames"])],
        divided=[("frames", 2, widths, ["runs", "frames", sum(widths)])],
        joined=[("embedding", 1, ["runs", sum(dimensions)])],
    )
    _halve_the_square(pool)
    folder.mkdir(parents=True, exist_ok=True)
    for part, model in zip(PARTS, (trunk, pool), strict=True):
        shrink(model)
        onnx.checker.check_model(model)
        onnx.save(model, folder / part)
    seal(folder, name, sum(dimensions))


def _read(path: Path, prefix: str) -> ModelProto:
    model = onnx.load(path)
    restored(model)
    del model.metadata_props[:]
    prefixed: ModelProto = compose.add_prefix(model, prefix)
    return prefixed


def _dimension(path: Path) -> int:
    return int({prop.key: prop.value for prop in onnx.load(path).metadata_props}["dimension"])


def _width(model: ModelProto, name: str) -> int:
    """The last dimension of an input."""
    (found,) = (put for put in model.graph.input if put.name.endswith(f"_{name}"))
    return int(found.type.tensor_type.shape.dim[-1].dim_value)


def _beside(
    models: tuple[ModelProto, ModelProto], shared: list[tuple[str, list[str | int]]],
    divided: list[tuple[str, int, list[int], list[str | int]]], joined: list[tuple[str, int, list[str | int]]],
) -> ModelProto:  # fmt: skip
    """One graph of two: ``shared`` inputs go to both (name, shape), ``divided`` ones are split along an axis (name,
    axis, sizes, shape), outputs are ``joined`` along one (name, axis, shape)."""
    before: list[NodeProto] = []
    initializers = [tensor for model in models for tensor in model.graph.initializer]
    for name, _ in shared:
        before += [helper.make_node("Identity", [name], [f"{prefix}_{name}"]) for prefix in "ab"]
    for name, axis, sizes, _ in divided:
        initializers.append(helper.make_tensor(f"{name}_sizes", TensorProto.INT64, [len(sizes)], sizes))
        before.append(helper.make_node("Split", [name, f"{name}_sizes"], [f"a_{name}", f"b_{name}"], axis=axis))
    after = [helper.make_node("Concat", [f"a_{name}", f"b_{name}"], [name], axis=axis) for name, axis, _ in joined]

    def described(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    order = {"features": 0, "frames": 0, "state": 1, "mask": 1}
    inputs = [described(name, shape) for name, shape in shared] + [
        described(name, shape) for name, *_, shape in divided
    ]
    graph = helper.make_graph(
        [*before, *(node for model in models for node in model.graph.node), *after], "joined",
        sorted(inputs, key=lambda put: order[put.name]), [described(name, shape) for name, _, shape in joined],
        initializers,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=models[0].opset_import, ir_version=models[0].ir_version)


def _halve_the_square(pool: ModelProto) -> None:
    """Two unit vectors after one another are of length sqrt 2: make the whole a unit vector again."""
    (last,) = (node for node in pool.graph.node if "embedding" in node.output)
    last.output[0] = "both"
    half = numpy_helper.from_array(np.array(0.5**0.5, np.float32), "half")
    pool.graph.initializer.append(half)
    pool.graph.node.append(helper.make_node("Mul", ["both", "half"], ["embedding"]))
