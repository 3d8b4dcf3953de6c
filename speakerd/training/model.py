"""The network: a causal convolutional trunk over time and frequency, and a pooling head.

The trunk turns feature frames (10 ms) into trunk frames (80 ms), each seeing 1.49 s back and nothing ahead, so it can
be advanced as audio arrives: every convolution over time keeps the inputs it needs again (its state). Like its teacher
(arXiv 2002.01322) it looks along frequency and along time by turns, so that the same sound in another voice, some bands
higher, is the same sound; what reaches the end is one band. The head turns any run of trunk frames into one unit
embedding: attentive pooling, where attention heads know where in the run they are, so that order counts.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from speakerd.audio.features import HOP, MELS, SAMPLE_RATE

STRIDE = 8  # feature frames per trunk frame
# Twice as fast where the processor multiplies it, ten times slower where it does not.
BFLOAT16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
# Channels where 18, 9, 5, 3 bands and one are left; the first two at 20 ms, then at 40, the last at 80.
LARGE = (24, 48, 72, 112, 144)
SMALL = (12, 24, 40, 72, 96)  # for the slowest boards


class CausalConv(nn.Module):
    """Convolution over (time, frequency) that sees only the past. Along frequency it is padded to keep its bands if
    ``padded``. Its state is the inputs before the block, (batch, channels, memory, bands)."""

    def __init__(
        self, inputs: int, outputs: int, bands: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1),
        padded: bool = True, zero_sum: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(outputs)
        self.stride, self.zero_sum = stride, zero_sum
        self.padding = (0, kernel[1] // 2 if padded else 0)
        self.memory = kernel[0] - stride[0]  # how many past inputs the first output of a block needs
        self.state_shape = (inputs, self.memory, bands)
        self.bands = (bands + 2 * self.padding[1] - kernel[1]) // stride[1] + 1  # that come out

    def forward(self, x: Tensor, states: Iterator[Tensor], after: list[Tensor]) -> Tensor:
        """Takes its state from ``states`` and appends the next one to ``after``, if it has any memory."""
        weight: Tensor = self.weight
        if self.zero_sum:  # a constant added to every band (gain, in the logarithm) adds nothing
            weight = weight - weight.mean(dim=(1, 2, 3), keepdim=True)
        if self.memory:
            x = torch.cat([next(states).to(x.dtype), x], dim=2)
            after.append(x[:, :, -self.memory :])
        normed: Tensor = self.norm(F.conv2d(x, weight, stride=self.stride, padding=self.padding))
        return normed


class Block(nn.Module):
    """Along frequency (along time again where one band is left), then along time; beside a short cut where the shape
    stays."""

    def __init__(self, inputs: int, outputs: int, bands: int, stride: tuple[int, int], padded: bool = True) -> None:
        super().__init__()
        self.first = CausalConv(inputs, outputs, bands, (1, 3) if bands > 1 else (3, 1), (1, stride[1]), padded)
        self.second = CausalConv(outputs, outputs, self.first.bands, (3, 1), (stride[0], 1))
        self.bands = self.second.bands
        self.short_cut = inputs == outputs and bands == self.bands and stride == (1, 1)
        if self.short_cut:
            nn.init.zeros_(self.second.norm.weight)  # at first only the short cut counts (arXiv 1706.02677)

    def forward(self, x: Tensor, states: Iterator[Tensor], after: list[Tensor]) -> Tensor:
        y = self.second(F.relu(self.first(x, states, after)), states, after)
        return F.relu(x + y if self.short_cut else y)


class Trunk(nn.Module):
    """Features (batch, frames, 40), frames a multiple of 8, to trunk frames (batch, frames / 8, width)."""

    def __init__(self, channels: tuple[int, ...] = LARGE) -> None:
        super().__init__()
        self.width = channels[-1]
        self.stem = CausalConv(1, channels[0], MELS, (5, 5), (2, 2), padded=False, zero_sum=True)
        strides = ((1, 1), (1, 2), (2, 2), (1, 2), (2, 1))  # over (time, frequency), into each of the five
        inputs, bands = channels[0], self.stem.bands
        blocks: list[Block] = []
        for number, (outputs, stride) in enumerate(zip(channels, strides, strict=True)):
            last = number == len(channels) - 1
            if number:
                blocks.append(Block(inputs, outputs, bands, stride, padded=not last))
                inputs, bands = outputs, blocks[-1].bands
            blocks += [Block(outputs, outputs, bands, (1, 1)) for _ in range(3 if last else 1)]
        assert bands == 1
        self.blocks = nn.ModuleList(blocks)
        self.convs = [self.stem, *(conv for block in blocks for conv in (block.first, block.second))]
        self.states = [conv.state_shape for conv in self.convs if conv.memory]

    @property
    def state_size(self) -> int:
        return sum(map(math.prod, self.states))

    def forward(self, features: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance by a block; ``state`` (batch, state_size) is what the last block returned, None at the start."""
        if state is None:
            state = features.new_zeros(features.shape[0], self.state_size)
        parts = torch.split(state, [math.prod(shape) for shape in self.states], dim=1)
        states = iter([part.reshape(-1, *shape) for part, shape in zip(parts, self.states, strict=True)])
        after: list[Tensor] = []
        x = F.relu(self.stem(features.unsqueeze(1), states, after))
        for block in self.blocks:
            x = block(x, states, after)
        frames = x.squeeze(3).transpose(1, 2)
        return frames.to(features.dtype), torch.cat([part.flatten(1) for part in after], dim=1).to(features.dtype)


class Head(nn.Module):
    """Trunk frames (runs, frames, width) and a mask (runs, frames; 1 = counts) to unit embeddings (runs, size). Runs of
    one stream may share their frames, (frames, width).

    What is pooled is the frames and, beside them, the teacher's frames as far as they can be told from them."""

    def __init__(self, width: int, size: int = 192, heads: int = 4, teacher: int = 96) -> None:
        super().__init__()
        self.view = nn.Linear(width, teacher)
        width += teacher
        self.attend = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, heads))
        self.place = nn.Parameter(torch.zeros(2, heads))
        with torch.no_grad():  # two heads lean to the beginning, two to the end
            self.place[0] = torch.linspace(-2, 2, heads)
        self.norm = nn.BatchNorm1d(width * (heads + 1))
        self.project = nn.Linear(width * (heads + 1), size)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        frames = torch.cat([frames, self.view(frames)], dim=-1)
        count = mask.sum(dim=1, keepdim=True)
        place = (torch.cumsum(mask, dim=1) - 0.5) / count * 2 - 1  # -1 at the beginning of the run, 1 at its end
        place = torch.stack([place, place * place], dim=2) @ self.place
        logits = self.attend(frames) + place + (mask - 1).unsqueeze(2) * 1e4
        share = torch.softmax(logits, dim=1)  # (runs, frames, heads)
        means = share.transpose(1, 2) @ frames
        even = (mask / count).unsqueeze(1)
        mean = even @ frames
        deviation = torch.sqrt(torch.clamp(even @ (frames * frames) - mean * mean, min=1e-4))
        pooled = torch.cat([means, deviation], dim=1).flatten(1)
        return F.normalize(self.project(self.norm(pooled)), dim=1)


def multiply_accumulates(trunk: Trunk) -> int:
    """Multiply-accumulates per second of audio in the trunk."""
    total, rate = 0.0, SAMPLE_RATE / HOP
    for conv in trunk.convs:
        rate /= conv.stride[0]
        total += conv.weight.numel() * conv.bands * rate
    return round(total)
