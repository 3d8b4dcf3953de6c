"""What the encoder learns from a batch of scenes: the student, what it is asked, and what it is told.

The loop around it, and what to expect of it, is in run.py.
"""

import math
import pickle
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from speakerd.errors import SpeakerdError
from speakerd.training.augment import Augment, features
from speakerd.training.model import BFLOAT16, LARGE, Head, Trunk
from speakerd.training.objectives import AmSoftmax, contrast, frame_distillation, word_distillation
from speakerd.training.scenes import SCENE
from speakerd.training.teacher import LAG, SUMMARY, Scale, Targets, summaries

FRAME = 1280  # samples per trunk frame
WEIGHTS = {"frames": 2.0, "pieces": 2.0, "words": 3.0, "contrast": 0.3, "often": 0.5, "seldom": 0.2}

# Samples of scenes (scenes, samples; int16), spans of their words (words, 6; on the CPU), targets of frames and words.
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class Student(nn.Module):
    """The encoder and the parts that only training needs."""

    def __init__(self, often: int, seldom: int, channels: tuple[int, ...] = LARGE) -> None:
        super().__init__()
        self.trunk = Trunk(channels).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = Head(self.trunk.width)
        size = self.head.project.out_features
        self.word_view = nn.Linear(size, SUMMARY, bias=False)
        self.often = AmSoftmax(size, often, margin=0.2)
        self.seldom = AmSoftmax(size, max(1, seldom), margin=0.1)

    def begin_with(self, path: Path) -> None:
        """Take over what another run has learned, but for the words, which are each run's own.

        Raises:
            SpeakerdError: the file is of another network.
        """
        try:
            learned = torch.load(path, weights_only=True)
            lacking = self.load_state_dict({name: value.float() for name, value in learned.items()}, strict=False)
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            raise SpeakerdError(f"{path}: nothing that this network can begin with: {error}") from error
        if set(lacking.missing_keys) != {"often.weight", "seldom.weight"}:
            raise SpeakerdError(f"{path} is of another network: it lacks {', '.join(lacking.missing_keys[:3])}")

    def learned(self) -> dict[str, Tensor]:
        """What another run can begin with, in half the bits."""
        of_words = ("often.", "seldom.")
        return {name: value.half().cpu() for name, value in self.state_dict().items() if not name.startswith(of_words)}


def windows(spans: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """The trunk frames of each word, its ends blurred as a segmenter's are: first frame and count, (words,) each."""
    blur = torch.rand(len(spans), 2, generator=draw)
    start = spans[:, 1] - (blur[:, 0] * 0.30 - 0.06) * 16000  # up to 240 ms early or 60 ms late
    end = spans[:, 2] + (blur[:, 1] * 0.30 + 0.02) * 16000  # what the last sound says arrives a little late
    first = (start / FRAME).floor().long().clamp(0, SCENE // FRAME - 3)
    last = (end / FRAME).floor().long().clamp(max=SCENE // FRAME)
    return first, (last - first).clamp(min=3)


PIECES = 6  # of each scene, for distillation on phrases and running speech


def pieces(scenes: int, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pieces of anything, 0.5 to 2.2 s long, wherever they fall: scene, first trunk frame and count, (pieces,) each.
    They make the encoder hear phrases, of which the words alone hold none."""
    scene = torch.arange(scenes).repeat_interleave(PIECES)
    count = torch.randint(6, 28, (len(scene),), generator=draw)
    room = SCENE // FRAME - LAG - count
    first = LAG + (torch.rand(len(scene), generator=draw) * (room - 3)).long()
    return scene, first, count


def piece_targets(frame_target: Tensor, scale: Scale, scene: Tensor, first: Tensor, count: Tensor) -> Tensor:
    """The teacher's view of pieces, as if they were words: the summary of the frames whose middle lies in them."""
    # trunk frame j ends where teacher frame j - LAG does, whose middle is five frames earlier; the run of a word
    # goes on for two frames after it, so four
    runs, mask = gather(frame_target, scene, first - LAG + 4, count)
    return scale.word(summaries(runs * scale.frame_deviation + scale.frame_mean, mask))


def gather(frames: Tensor, scene: Tensor, first: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Runs of trunk frames padded to the longest: (words, longest, width) and their mask. Where they lie is told on the
    CPU, wherever the frames are: to ask a graphics card would be to wait for it."""
    steps = torch.arange(int(count.max()))
    mask = (steps < count.unsqueeze(1)).float().to(frames.device)
    at = (first.unsqueeze(1) + steps).clamp(max=frames.shape[1] - 1)
    return frames[scene.unsqueeze(1).to(frames.device), at.to(frames.device)], mask


def heard_in_rooms(pcm: Tensor, augment: Augment | None) -> Tensor:
    """Features (scenes, frames, 40) of scenes (scenes, samples; int16), each in some room unless there are none."""
    with torch.no_grad():
        scenes = pcm.float() / 32768
        return features(augment(scenes) if augment else scenes)


def loss_of(
    student: Student, batch: Batch, heard: Tensor, scale: Scale, draw: torch.Generator,
    without: frozenset[str] = frozenset(),
) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
    """What is to become less, and its parts, but for those it goes ``without``. ``draw`` is on the CPU."""
    _, spans, frame_target, word_target = batch
    with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
        frames, _ = student.trunk(heard)
    first, count = windows(spans, draw)
    embedding = student.head(*gather(frames, spans[:, 0], first, count))
    some = pieces(len(frames), draw)
    piece = student.head(*gather(frames, *some))
    seen = student.word_view(torch.cat([embedding, piece]))
    target = torch.cat([word_target, piece_targets(frame_target, scale, *some)])
    predicted = student.head.view(frames[:, LAG : LAG + frame_target.shape[1]])
    parts = {
        "frames": frame_distillation(predicted, frame_target[:, : predicted.shape[1]]),
        "pieces": word_distillation(seen[len(embedding) :], target[len(embedding) :]),
        "words": word_distillation(seen[: len(embedding)], word_target),
        "contrast": contrast(seen, target),
    }
    for name, column in (("often", 3), ("seldom", 4)):
        known = (spans[:, column] >= 0).nonzero().squeeze(1)
        if len(known):
            parts[name] = getattr(student, name)(embedding[known.to(embedding.device)], spans[known, column])
    parts = {name: WEIGHTS[name] * part for name, part in parts.items() if name not in without}
    return torch.stack(list(parts.values())).sum(), {name: part.detach() for name, part in parts.items()}


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear over the first 300 steps, then half a cosine down to a hundredth."""
    done = step / max(1, steps)
    return peak * min(1.0, (step + 1) / 300) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def batch_of(pcm: Tensor, spans: NDArray[np.int32], target: Targets, chunk: NDArray[np.int64]) -> Batch:
    """Scenes by number: samples, spans (scene renumbered from 0), frame targets, word targets."""
    place = np.full(len(pcm), -1)
    place[chunk] = np.arange(len(chunk))
    some = spans[place[spans[:, 0]] >= 0].astype(np.int64)
    scenes, words = torch.from_numpy(chunk).to(pcm.device), torch.from_numpy(some[:, 5]).to(pcm.device)
    some[:, 0] = place[some[:, 0]]
    return pcm[scenes], torch.from_numpy(some), target.frames[scenes].float(), target.words[words]
