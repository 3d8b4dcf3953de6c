"""The network: streaming equals the whole, nothing looks ahead, loudness does not count, order does."""

import numpy as np
import pytest
import torch
from torch import Tensor

from speakerd.audio.features import MELS
from speakerd.training.augment import features
from speakerd.training.model import STRIDE, CausalConv, Head, Trunk
from tests.recordings import room

SEES = 149  # feature frames that a trunk frame sees, 1.49 s


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    """As it is after some training: statistics that are not those of the beginning."""
    torch.manual_seed(0)
    trunk = Trunk()
    draw = torch.Generator().manual_seed(1)
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.5, generator=draw)
            module.running_var.uniform_(0.5, 2, generator=draw)
            module.weight.data.uniform_(0.5, 1.5, generator=draw)
            module.bias.data.normal_(0, 0.3, generator=draw)
    return trunk.eval()


@pytest.fixture(scope="module")
def head(trunk: Trunk) -> Head:
    torch.manual_seed(2)
    return Head(trunk.width).eval()


def speech_like(frames: int, seed: int = 0) -> Tensor:
    """Feature frames (1, frames, 40) that vary as those of speech do."""
    return torch.randn(1, frames, MELS, generator=torch.Generator().manual_seed(seed)).cumsum(1) * 0.3 - 6


def through(trunk: Trunk, frames: Tensor) -> Tensor:
    with torch.no_grad():
        out: Tensor = trunk(frames)[0]
    return out


@pytest.mark.parametrize("blocks", [[8] * 40, [160, 160], [8, 312], [24, 40, 8, 128, 120]])
def test_the_trunk_in_blocks_equals_the_whole(trunk: Trunk, blocks: list[int]) -> None:
    frames = speech_like(sum(blocks))
    state, out = None, []
    with torch.no_grad():
        for block in torch.split(frames, blocks, dim=1):
            part, state = trunk(block, state)
            assert part.shape == (1, block.shape[1] // STRIDE, trunk.width)
            assert state.shape == (1, trunk.state_size)
            out.append(part)
    whole = through(trunk, frames)
    torch.testing.assert_close(torch.cat(out, dim=1), whole, atol=1e-5 * float(whole.abs().max()), rtol=0)


def test_each_scene_of_a_batch_is_on_its_own(trunk: Trunk) -> None:
    batch = torch.cat([speech_like(160, seed) for seed in range(3)])
    alone = torch.cat([through(trunk, scene[None]) for scene in batch])
    torch.testing.assert_close(through(trunk, batch), alone, atol=1e-5 * float(alone.abs().max()), rtol=0)


def test_a_frame_sees_nothing_ahead_and_not_more_than_it_says_back(trunk: Trunk) -> None:
    frames = speech_like(400).requires_grad_()
    at = 40  # a trunk frame that ends with feature frame 8 * 41
    trunk(frames)[0][0, at].square().sum().backward()
    assert frames.grad is not None
    seen = torch.nonzero(frames.grad[0].abs().sum(dim=1))[:, 0]
    assert seen.max() == STRIDE * (at + 1) - 1
    assert seen.min() == STRIDE * (at + 1) - SEES
    assert len(seen) == SEES


def test_gain_changes_nothing_well_above_the_floor(trunk: Trunk) -> None:
    """A louder voice is a constant added to every band, which the first filters do not see."""
    voice = torch.from_numpy(room(4.0, level=-20.0))[None]
    loud, soft = features(voice), features(voice * 0.25)
    assert (loud - soft).mean() == pytest.approx(2 * np.log(4), abs=1e-3)
    memory = trunk.stem.weight.shape[2]
    with torch.no_grad():
        before = torch.zeros(1, *trunk.stem.state_shape)
        stems = [trunk.stem(frames.unsqueeze(1), iter([before]), []) for frames in (loud, soft)]
    torch.testing.assert_close(stems[0][:, :, memory:], stems[1][:, :, memory:], atol=5e-3, rtol=0)
    # and so nothing does, once the silence before the beginning is out of sight
    first = SEES // STRIDE + 1
    embedded = [through(trunk, frames)[:, first:] for frames in (loud, soft)]
    torch.testing.assert_close(embedded[0], embedded[1], atol=0.02, rtol=0)
    # which is not for want of anything to see
    other = through(trunk, features(torch.from_numpy(room(4.0, seed=9, level=-20.0))[None]))[:, first:]
    assert (embedded[0] - other).abs().max() > 0.2


def test_only_the_first_filters_sum_to_zero(trunk: Trunk) -> None:
    convs = [module for module in trunk.modules() if isinstance(module, CausalConv)]
    assert [conv.zero_sum for conv in convs] == [True] + [False] * (len(convs) - 1)


# -- the head


def run(frames: int, width: int, seed: int) -> Tensor:
    return torch.randn(1, frames, width, generator=torch.Generator().manual_seed(seed)).relu()


def embedded(head: Head, *runs: Tensor) -> Tensor:
    """What :meth:`Encoder.pool` does: padded to the longest, with a mask."""
    longest = max(one.shape[1] for one in runs)
    padded = torch.cat([torch.nn.functional.pad(one, (0, 0, 0, longest - one.shape[1]), value=7.0) for one in runs])
    mask = torch.stack([(torch.arange(longest) < one.shape[1]).float() for one in runs])
    with torch.no_grad():
        out: Tensor = head(padded, mask)
    return out


def test_runs_of_any_length_give_unit_embeddings(trunk: Trunk, head: Head) -> None:
    runs = [run(length, trunk.width, length) for length in (1, 3, 8, 50)]
    together = embedded(head, *runs)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))
    for one, out in zip(runs, together, strict=True):  # what is beside it, or pads it, plays no part
        torch.testing.assert_close(embedded(head, one)[0], out, atol=1e-5, rtol=0)


def test_order_counts(trunk: Trunk, head: Head) -> None:
    word = run(12, trunk.width, 5)
    likeness = embedded(head, word, word.flip(1), word)
    assert likeness[0] @ likeness[2] == pytest.approx(1, abs=1e-5)
    assert likeness[0] @ likeness[1] < 0.999


def test_all_parts_learn(trunk: Trunk, head: Head) -> None:
    frames = through(trunk, speech_like(160))
    head.zero_grad()
    torch.manual_seed(3)
    (head(frames, torch.ones(1, frames.shape[1])) @ torch.randn(head.project.out_features)).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
