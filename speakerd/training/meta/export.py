"""adapt.onnx: the inner loop, gradients and all, as a graph that onnxruntime runs without torch.

torch.func takes the gradient, make_fx traces what it does into plain operations with symbolic sizes, and that is what
torch.onnx exports (exporting torch.func.grad itself fails).
"""

import logging
import warnings
from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from speakerd.recognition.head import FORMAT, HARDEST
from speakerd.training.meta import anil
from speakerd.training.meta.inner import Params, Task

INPUTS = ["support", "member", "others", "share", "near"]
OUTPUTS = ["w", "b"]


class _Unrolled(nn.Module):
    """The traced inner loop with its parameters inside."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self._names = sorted(params)
        for name in self._names:
            self.register_buffer(name, params[name].detach().clone())
        names = self._names

        def adapted(*tensors: Tensor) -> tuple[Tensor, Tensor]:
            params = dict(zip(names, tensors, strict=False))
            head = anil.adapt(params, Task(*tensors[len(names) :]))[-1]
            return head["w"], head["b"]

        example = _example(int(params["metric"].shape[0]))
        self.graph = make_fx(adapted, tracing_mode="symbolic")(*self._values(), *example)

    def _values(self) -> list[Tensor]:
        return [self.get_buffer(name) for name in self._names]

    def forward(
        self, support: Tensor, member: Tensor, others: Tensor, share: Tensor, near: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A task to weights (heads, d) and bias (heads,)."""
        head: tuple[Tensor, Tensor] = self.graph(*self._values(), support, member, others, share, near)
        return head


def export(params: Params, encoder: str, path: Path) -> None:
    """Write adapt.onnx for the embeddings of ``encoder`` (its id)."""
    n, heads, m = (torch.export.Dim(name, min=1, max=10_000) for name in ("n", "heads", "m"))
    dimension = int(params["metric"].shape[0])
    dynamic = {
        "support": {0: n}, "member": {0: n, 1: heads}, "others": {0: m}, "share": {0: m}, "near": {0: m},
    }  # fmt: skip
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Unrolled(params), _example(dimension), dynamo=True, input_names=INPUTS, output_names=OUTPUTS,
            dynamic_shapes=tuple(dynamic.values()), optimize=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    model.doc_string = ""
    for node in model.graph.node:  # stack traces of the exporting machine are nobody's business
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    about = {"format": FORMAT, "encoder": encoder, "dimension": str(dimension), "lean": str(float(params["lean"]))}
    helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _example(dimension: int) -> tuple[Tensor, ...]:
    """Inputs of sizes that mean nothing."""
    draw = torch.Generator().manual_seed(0)
    support, others = (
        nn.functional.normalize(torch.randn(many, dimension, generator=draw), dim=1) for many in (11, HARDEST + 51)
    )
    return (
        support, nn.functional.one_hot(torch.arange(11) % 3).float(), others, torch.ones(len(others)),
        torch.ones(len(others), 2),
    )  # fmt: skip
