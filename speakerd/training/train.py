"""Training of the encoder: one loop, read in one sitting.

What to expect (two x86 cores): see models/card.md. A run writes its log, its checkpoint after every epoch, and goes on
from the checkpoint when it is started again with the same folder.
"""

import json
import math
import pickle
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from speakerd.errors import SpeakerdError
from speakerd.recognition.encoder import TrunkEncoder
from speakerd.recognition.head import Adapter
from speakerd.training.augment import Augment, features, masked
from speakerd.training.data import Corpora, read_corpora
from speakerd.training.export import export
from speakerd.training.meta.train import meta_train
from speakerd.training.model import Head, Trunk, multiply_accumulates
from speakerd.training.objectives import AmSoftmax, contrast, frame_distillation, word_distillation
from speakerd.training.scenes import SCENE, Composition, babble, compose
from speakerd.training.teacher import LAG, SUMMARY, Scale, Targets, Teacher, summaries, targets
from speakerd.training.world import build

FRAME = 1280  # samples per trunk frame
# Twice as fast where the processor multiplies it, ten times slower where it does not.
BFLOAT16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
BABBLE = 360  # seconds of many voices, among the noise

Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # see batch_of


@dataclass(frozen=True)
class Recipe:
    epochs: int = 72
    compositions: int = 6
    batch: int = 16
    rate: float = 2e-3
    decay: float = 0.01
    seed: int = 0
    scenes: int | None = None  # at most so many per composition (for tests)


class Student(nn.Module):
    """The encoder and the parts that only training needs."""

    def __init__(self, often: int, seldom: int) -> None:
        super().__init__()
        self.trunk = Trunk().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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
        return {name: value.half() for name, value in self.state_dict().items() if not name.startswith(of_words)}


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
    runs = runs * torch.from_numpy(scale.frame_deviation) + torch.from_numpy(scale.frame_mean)
    summary = summaries(runs, mask)
    return F.normalize((summary - torch.from_numpy(scale.word_mean)) @ torch.from_numpy(scale.whitening), dim=1)


def gather(frames: Tensor, scene: Tensor, first: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Runs of trunk frames padded to the longest: (words, longest, width) and their mask."""
    steps = torch.arange(int(count.max()))
    mask = (steps < count.unsqueeze(1)).float()
    at = (first.unsqueeze(1) + steps).clamp(max=frames.shape[1] - 1)
    return frames[scene.unsqueeze(1), at], mask


def heard_in_rooms(pcm: Tensor, augment: Augment) -> Tensor:
    """Features (scenes, frames, 40) of scenes (scenes, samples; int16), each in some room."""
    with torch.no_grad():
        return masked(features(augment(pcm.float() / 32768)), augment.draw)


def loss_of(
    student: Student, batch: Batch, heard: Tensor, scale: Scale, draw: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    pcm, spans, frame_target, word_target = batch
    with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
        frames, _ = student.trunk(heard)
    first, count = windows(spans, draw)
    embedding = student.head(*gather(frames, spans[:, 0], first, count))
    some = pieces(len(pcm), draw)
    piece = student.head(*gather(frames, *some))
    seen = student.word_view(torch.cat([embedding, piece]))
    target = torch.cat([word_target, piece_targets(frame_target, scale, *some)])
    predicted = student.head.view(frames[:, LAG : LAG + frame_target.shape[1]])
    parts = {
        "frames": 2 * frame_distillation(predicted, frame_target[:, : predicted.shape[1]]),
        "pieces": 2 * word_distillation(seen[len(embedding) :], target[len(embedding) :]),
        "words": 3 * word_distillation(seen[: len(embedding)], word_target),
        "contrast": 0.3 * contrast(seen, target),
    }
    for name, column, weight in (("often", 3, 0.5), ("seldom", 4, 0.2)):
        known = spans[:, column] >= 0
        if known.any():
            parts[name] = weight * getattr(student, name)(embedding[known], spans[known, column])
    return torch.stack(list(parts.values())).sum(), {name: float(part.detach()) for name, part in parts.items()}


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear over the first 300 steps, then half a cosine down to a hundredth."""
    done = step / max(1, steps)
    return peak * min(1.0, (step + 1) / 300) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


class Run:
    """A folder with everything of one training run: compositions, checkpoint, log."""

    def __init__(self, data: Path, teacher: Path, folder: Path, recipe: Recipe, begin: Path | None = None) -> None:
        """``begin``: a student.pt that an earlier run has shipped, to begin with instead of chance."""
        self.folder, self.recipe = folder, recipe
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.say(f"reading {data}")
        self.corpora: Corpora = read_corpora(data)
        lacks = self.corpora.lacks()
        if lacks:  # better now than after days of training
            raise SpeakerdError(f"{data}: too little to train with. More is needed of: {'; '.join(lacks)}")
        self.teacher = Teacher(teacher)
        often, seldom = self.corpora.classes()
        self.say(
            f"{len(self.corpora.words)} clips of {len(often)} words and {len(seldom)} words said once; held out: "
            f"{len(self.corpora.held_words)} clips, {len(self.corpora.held_speech)} pieces of speech"
        )
        self.student = Student(len(often), len(seldom))
        if begin is not None:
            self.student.begin_with(begin)
        self.draw = torch.Generator().manual_seed(recipe.seed)
        noise = self.corpora.noise + babble(self.corpora, BABBLE, recipe.seed)
        self.augment = Augment.among(noise, recipe.seed)

    def say(self, line: str) -> None:
        stamped = f"{time.strftime('%H:%M:%S')} {line}"
        print(stamped, file=sys.stderr, flush=True)
        with (self.folder / "log.txt").open("a") as log:
            log.write(stamped + "\n")

    def composition(self, number: int) -> tuple[Composition, Targets]:
        """A composition and what the teacher says of it; made once and kept (the samples are mapped, not read)."""
        pcm, kept, scale = (self.folder / name for name in (f"pcm-{number}.npy", f"targets-{number}.npz", "scale.npz"))
        if not kept.exists():
            made = compose(self.corpora, self.recipe.seed * 1000 + number, self.recipe.scenes)
            target, fitted = targets(self.teacher, made, Scale(**np.load(scale)) if scale.exists() else None)
            np.savez(scale, **asdict(fitted))  # fitted on the first composition, then the same for all
            np.save(pcm, made.pcm)
            np.savez(kept, spans=made.spans, frames=target.frames, words=target.words)
        stored = np.load(kept)
        scenes = Composition(np.load(pcm, mmap_mode="r"), stored["spans"], [])
        return scenes, Targets(stored["frames"], stored["words"])

    def train(self) -> None:
        """Train to the end of the recipe, from the checkpoint where there is one."""
        recipe, student = self.recipe, self.student
        optimizer = torch.optim.AdamW(student.parameters(), lr=recipe.rate, weight_decay=recipe.decay, fused=True)
        checkpoint = self.folder / "checkpoint.pt"
        first = 0
        if checkpoint.exists():
            stored = torch.load(checkpoint, weights_only=True)
            student.load_state_dict(stored["student"])
            optimizer.load_state_dict(stored["optimizer"])
            first = stored["epoch"]
            self.say(f"going on after epoch {first}")
        for epoch in range(first, recipe.epochs):
            began = time.monotonic()
            composition, target = self.composition(epoch % recipe.compositions)
            scale = Scale(**np.load(self.folder / "scale.npz"))
            batches = np.random.default_rng(epoch).permutation(len(composition.pcm))
            batches = batches[: max(1, len(batches) // recipe.batch) * recipe.batch]
            chunks = np.array_split(batches, max(1, len(batches) // recipe.batch))
            prepared = time.monotonic() - began
            totals: dict[str, float] = {}
            student.train()
            step = epoch * len(chunks)
            for batch, heard in self._ahead(composition, target, chunks):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, recipe.epochs * len(chunks), recipe.rate)
                loss, parts = loss_of(student, batch, heard, scale, self.draw)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                nn.utils.clip_grad_norm_(student.parameters(), 5.0)
                optimizer.step()
                step += 1
                for name, value in parts.items():
                    totals[name] = totals.get(name, 0.0) + value / len(chunks)
                if step % 50 == 0:
                    took = time.monotonic() - began - prepared
                    self.say(f"  step {step} loss {float(loss.detach()):.3f} ({took:.0f} s into epoch {epoch + 1})")
            torch.save(
                {
                    "student": student.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "epoch": epoch + 1,
                },
                checkpoint.with_suffix(".new"),
            )
            checkpoint.with_suffix(".new").replace(checkpoint)
            line = {"epoch": epoch + 1, "seconds": round(time.monotonic() - began), "composing": round(prepared)}
            self.say(json.dumps(line | {name: round(value, 4) for name, value in totals.items()}))

    def _ahead(
        self, composition: Composition, target: Targets, chunks: list[NDArray[np.int64]]
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Batches and how they are heard, each prepared while the one before it is learned from."""

        def prepared(chunk: NDArray[np.int64]) -> tuple[Batch, Tensor]:
            batch = batch_of(composition, target, chunk)
            return batch, heard_in_rooms(batch[0], self.augment)

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(prepared, chunks[0])
            for chunk in chunks[1:]:
                ready, coming = coming, pool.submit(prepared, chunk)
                yield ready.result()
            yield coming.result()

    def ship(self, models: Path) -> None:
        """Export the encoder, and what a later run can begin with; meta-learn the head and build the world around them
        from what was held out."""
        name = f"speakerd-{self.recipe.seed}-{self.recipe.epochs}"
        export(self.student.trunk, self.student.head, models, name)
        torch.save(self.student.learned(), models / "student.pt")
        self.say(f"exported, {multiply_accumulates(self.student.trunk):,} multiply-accumulates per second of audio")
        self.say("meta-learning the head")
        encoder = TrunkEncoder(models)
        head = meta_train(encoder, self.corpora, models / "adapt.onnx", self.recipe.seed)
        self.say("hearing what was held out")
        adapter = Adapter(models / "adapt.onnx", encoder.id)
        build(encoder, self.corpora, adapter, (head.mean, head.matrix), self.recipe.seed).save(models / "world.npz")


def batch_of(composition: Composition, target: Targets, chunk: NDArray[np.int64]) -> Batch:
    """Scenes by number: samples, spans (scene renumbered from 0), frame targets, word targets."""
    place = np.full(len(composition.pcm), -1)
    place[chunk] = np.arange(len(chunk))
    inside = place[composition.spans[:, 0]] >= 0
    spans = composition.spans[inside].astype(np.int64)
    word_target = target.words[spans[:, 5]]
    spans[:, 0] = place[spans[:, 0]]
    return (
        torch.from_numpy(composition.pcm[chunk]),
        torch.from_numpy(spans),
        torch.from_numpy(target.frames[chunk].astype(np.float32)),
        torch.from_numpy(word_target),
    )
