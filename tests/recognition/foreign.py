"""A small encoder of another make: how loud each of sixteen bands is, in windows of a quarter of a second."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WINDOW, HOP = 4000, 800
ABOUT = {"name": "bands", "sample_rate": "16000", "window": str(WINDOW), "hop": str(HOP), "dimension": "16"}


def write(path: Path, about: dict[str, str] | None = None, lowest: float = 200.0) -> Path:
    """Write it with ``about`` as its metadata; with another ``lowest`` band it is another encoder."""
    times = np.arange(WINDOW) / 16000
    bands = np.geomspace(lowest, 6000, 16)[:, None]
    waves = np.concatenate([np.cos(2 * np.pi * bands * times), np.sin(2 * np.pi * bands * times)]) * np.hanning(WINDOW)
    constants = {
        "waves": waves[:, None].astype(np.float32),
        "sum": np.tile(np.eye(16, dtype=np.float32), (1, 2))[..., None],
        "floor": np.float32(1e-3),
        "axis": np.array([1]),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["samples", "axis"], ["channel"]),
        helper.make_node("Conv", ["channel", "waves"], ["parts"], strides=[HOP]),
        helper.make_node("Mul", ["parts", "parts"], ["squares"]),
        helper.make_node("Conv", ["squares", "sum"], ["energy"]),
        helper.make_node("Add", ["energy", "floor"], ["raised"]),
        helper.make_node("Log", ["raised"], ["loudness"]),
        helper.make_node("Transpose", ["loudness"], ["frames"], perm=[0, 2, 1]),
    ]
    graph = helper.make_graph(
        nodes, "bands",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", "frames", 16])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, ABOUT if about is None else about)
    onnx.save(model, path)
    return path
