"""The network: a strided causal 1-D convolutional trunk and a pooling head (TC-ResNet style, arXiv 1904.03814).

The trunk turns feature frames (10 ms) into trunk frames (80 ms), each seeing 2.25 s back and nothing ahead, so it can
be advanced as audio arrives: every convolution keeps the inputs it needs again (its state). The head turns any run of
trunk frames into one unit embedding: attentive pooling, where attention heads know where in the run they are, so that
order counts.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from speakerd.audio.features import HOP, MELS, SAMPLE_RATE

STRIDE = 8  # feature frames per trunk frame


class CausalConv(nn.Module):
    """Convolution that sees only the past. ``state`` holds the inputs before the block, (batch, channels, kernel-1)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, zero_sum: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm1d(outputs)
        self.stride, self.zero_sum = stride, zero_sum
        self.memory = kernel - stride  # how many past inputs the first output of a block needs

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        weight: Tensor = self.weight
        if self.zero_sum:  # a constant added to every band (gain, in the logarithm) adds nothing
            weight = weight - weight.mean(dim=(1, 2), keepdim=True)
        x = torch.cat([state, x], dim=2)
        # -memory: rather than [-memory:], so that a kernel as long as its stride keeps nothing
        return self.norm(F.conv1d(x, weight, stride=self.stride)), x[:, :, x.shape[2] - self.memory :]


class Block(nn.Module):
    """Two causal convolutions beside a short cut."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = CausalConv(inputs, outputs, kernel, stride)
        self.second = CausalConv(outputs, outputs, kernel)
        self.short = CausalConv(inputs, outputs, stride, stride) if stride > 1 or inputs != outputs else None
        nn.init.zeros_(self.second.norm.weight)  # at first only the short cut counts (arXiv 1706.02677)

    def forward(self, x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y, first = self.first(x, states[0])
        y, second = self.second(F.relu(y), states[1])
        beside = x if self.short is None else self.short(x, x[:, :, :0])[0]
        return F.relu(y + beside), [first, second]


class Trunk(nn.Module):
    """Features (batch, frames, 40), frames a multiple of 8, to trunk frames (batch, frames / 8, width)."""

    def __init__(
        self, channels: tuple[int, int, int] = (80, 112, 144), kernels: tuple[int, ...] = (7, 5, 7, 5, 5, 3, 3)
    ) -> None:
        """``channels`` at 20, 40 and 80 ms; ``kernels`` of the blocks: two, two and three of them."""
        super().__init__()
        fast, middle, slow = channels
        self.width = slow
        self.stem = CausalConv(MELS, fast, 5, 2, zero_sum=True)
        widths, strides = (fast, fast, middle, middle, slow, slow, slow), (1, 1, 2, 1, 2, 1, 1)
        assert self.stem.stride * math.prod(strides) == STRIDE
        inputs = (fast, *widths)
        blocks = [Block(inputs[i], widths[i], kernels[i], strides[i]) for i in range(len(widths))]
        self.blocks = nn.ModuleList(blocks)
        convs = [self.stem, *(conv for block in blocks for conv in (block.first, block.second))]
        self.shapes = [(conv.weight.shape[1], conv.memory) for conv in convs]

    @property
    def state_size(self) -> int:
        return sum(channels * length for channels, length in self.shapes)

    def forward(self, features: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance by a block; ``state`` (batch, state_size) is what the last block returned, None at the start."""
        if state is None:
            state = features.new_zeros(features.shape[0], self.state_size)
        parts = torch.split(state, [channels * length for channels, length in self.shapes], dim=1)
        states = [part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)]
        x, new = self.stem(features.transpose(1, 2), states[0])
        after = [new]
        x = F.relu(x)
        for i, block in enumerate(self.blocks):
            x, new = block(x, states[1 + 2 * i : 3 + 2 * i])
            after += new
        return x.transpose(1, 2), torch.cat([part.flatten(1) for part in after], dim=1)


class Head(nn.Module):
    """Trunk frames (batch, frames, width) and a mask (batch, frames; 1 = counts) to unit embeddings (batch, size)."""

    def __init__(self, width: int, size: int = 128, heads: int = 4) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, heads))
        self.place = nn.Parameter(torch.zeros(2, heads))
        with torch.no_grad():  # two heads lean to the beginning, two to the end
            self.place[0] = torch.linspace(-2, 2, heads)
        self.norm = nn.BatchNorm1d(width * (heads + 1))
        self.project = nn.Linear(width * (heads + 1), size)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        count = mask.sum(dim=1, keepdim=True)
        place = (torch.cumsum(mask, dim=1) - 0.5) / count * 2 - 1  # -1 at the beginning of the run, 1 at its end
        place = torch.stack([place, place * place], dim=2) @ self.place
        logits = self.attend(frames) + place + (mask - 1).unsqueeze(2) * 1e4
        share = torch.softmax(logits, dim=1)  # (batch, frames, heads)
        means = torch.einsum("bth,btw->bhw", share, frames)
        even = (mask / count).unsqueeze(1)
        mean = even @ frames
        deviation = torch.sqrt(torch.clamp(even @ (frames * frames) - mean * mean, min=1e-4))
        pooled = torch.cat([means, deviation], dim=1).flatten(1)
        return F.normalize(self.project(self.norm(pooled)), dim=1)


def multiply_accumulates(trunk: Trunk) -> int:
    """Multiply-accumulates per second of audio in the trunk."""
    total, rate = 0.0, SAMPLE_RATE / HOP
    for part in (trunk.stem, *trunk.blocks):
        convs = [module for module in part.modules() if isinstance(module, CausalConv)]
        rate /= convs[0].stride
        total += sum(conv.weight.numel() * rate for conv in convs)
    return round(total)
