"""Training of the encoder: one loop, read in one sitting.

What to expect: see models/card.md. A run writes its log, its checkpoint after every epoch, and goes on from the
checkpoint when it is started again with the same folder. It learns on a graphics card where torch finds one.
"""

import json
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from speakerd.errors import SpeakerdError
from speakerd.recognition.encoder import TrunkEncoder
from speakerd.recognition.head import Adapter
from speakerd.training.augment import Augment
from speakerd.training.compositions import Compositions
from speakerd.training.data import Corpora
from speakerd.training.export import export
from speakerd.training.meta.train import meta_train
from speakerd.training.model import LARGE, SMALL, multiply_accumulates
from speakerd.training.muon import optimizers
from speakerd.training.scenes import babble
from speakerd.training.sounds import learn_sounds
from speakerd.training.teacher import Scale, Targets, Teacher, targets
from speakerd.training.train import Batch, Student, batch_of, heard_in_rooms, learning_rate, loss_of
from speakerd.training.world import build

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BABBLE = 360  # seconds of many voices, among the noise
OFTEN = 15  # seconds between what is said of an epoch
# What a run can go without, to tell what each is good for: the parts of what it is told, and these.
LEVERS = ("frames", "pieces", "words", "contrast", "often", "seldom", "rooms", "phrases", "synthetic")


@dataclass(frozen=True)
class Recipe:
    epochs: int = 72
    each: int = 4 if DEVICE == "cuda" else 12  # epochs with one composition
    batch: int = 64 if DEVICE == "cuda" else 16
    rate: float = 2e-3
    decay: float = 0.01
    seed: int = 0
    channels: tuple[int, ...] = LARGE
    without: frozenset[str] = frozenset()  # of LEVERS
    scenes: int | None = None  # at most so many per composition (for tests)


class Run:
    """A folder with everything of one training run: compositions, checkpoint, log."""

    def __init__(
        self, corpora: Corpora, teacher: Path, folder: Path, recipe: Recipe, begin: Path | None = None
    ) -> None:
        """``begin``: a student.pt that an earlier run has shipped, to begin with instead of chance.

        Raises:
            SpeakerdError: that, or the teacher, is not what it should be.
        """
        self.corpora, self.folder, self.recipe = corpora, folder, recipe
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        count = math.ceil(recipe.epochs / recipe.each)
        self.compositions = Compositions(corpora, folder, count, recipe.seed, recipe.scenes, recipe.without)
        often, seldom = self.corpora.classes()
        self.student = Student(len(often), len(seldom), recipe.channels)
        try:
            self.teacher = Teacher(teacher, DEVICE)
            if begin is not None:
                self.student.begin_with(begin)
        except SpeakerdError:
            self.compositions.close()
            raise
        self.student.to(DEVICE)
        self.say(
            f"{len(self.corpora.words)} clips of {len(often)} words and {len(seldom)} words said once; held out: "
            f"{len(self.corpora.held_words)} clips, {len(self.corpora.held_speech)} pieces of speech"
        )
        self.draw = torch.Generator().manual_seed(recipe.seed)
        noise = self.corpora.noise + babble(self.corpora, BABBLE, recipe.seed)
        self.augment = Augment.among(noise, recipe.seed, device=DEVICE)

    def say(self, line: str) -> None:
        stamped = f"{time.strftime('%H:%M:%S')} {line}"
        print(stamped, file=sys.stderr, flush=True)
        with (self.folder / "log.txt").open("a") as log:
            log.write(stamped + "\n")

    def composition(self, number: int) -> tuple[Tensor, NDArray[np.int32], Targets, Scale]:
        """Samples of a composition's scenes, its spans, what the teacher says of them, and in which scale. Kept until
        the next, for a run that is started again."""
        kept, fitted = self.folder / f"targets-{number}.pt", self.folder / "scale.npz"
        scenes = self.compositions.get(number)
        scale = Scale.load(fitted, DEVICE) if fitted.exists() else None
        if kept.exists() and scale is not None:
            target = Targets(**torch.load(kept, map_location=DEVICE))
        else:
            target, scale = targets(self.teacher, scenes, scale)
            scale.save(fitted)  # fitted on the first composition, then the same for all
            torch.save(vars(target), kept.with_suffix(".new"))
            kept.with_suffix(".new").replace(kept)
        for old in self.folder.glob("targets-*.pt"):
            if old != kept:
                old.unlink()
        return torch.from_numpy(scenes.pcm).to(DEVICE), scenes.spans, target, scale

    def train(self) -> None:
        """Train to the end of the recipe, from the checkpoint where there is one.

        Raises:
            SpeakerdError: the checkpoint is another run's.
        """
        recipe, student = self.recipe, self.student
        kind = [recipe.seed, list(recipe.channels), sorted(recipe.without), list(map(len, self.corpora.classes()))]
        steppers = optimizers(student, recipe.rate, recipe.decay)
        checkpoint = self.folder / "checkpoint.pt"
        first = 0
        if checkpoint.exists():
            stored = torch.load(checkpoint, weights_only=True, map_location=DEVICE)
            if stored.get("kind") != kind:
                raise SpeakerdError(f"{checkpoint} is of a run with other settings or recordings: choose another --run")
            student.load_state_dict(stored["student"])
            for stepper, state in zip(steppers, stored["optimizers"], strict=True):
                stepper.load_state_dict(state)
            first = stored["epoch"]
            self.say(f"going on after epoch {first}")
        for epoch in range(first, recipe.epochs):
            began = said = time.monotonic()
            if epoch == first or epoch % recipe.each == 0:
                pcm, spans, target, scale = self.composition(epoch // recipe.each)
            prepared = time.monotonic() - began
            batches = np.random.default_rng(epoch).permutation(len(pcm))
            steps = max(1, len(batches) // recipe.batch)
            chunks = np.array_split(batches[: steps * recipe.batch], steps)
            totals: dict[str, Tensor] = {}
            student.train()
            for done, (batch, heard) in enumerate(self._ahead(pcm, spans, target, chunks), 1):
                rate = learning_rate(epoch * steps + done - 1, recipe.epochs * steps, recipe.rate)
                for group in chain.from_iterable(stepper.param_groups for stepper in steppers):
                    group["lr"] = rate
                loss, parts = loss_of(student, batch, heard, scale, self.draw, recipe.without)
                student.zero_grad()
                torch.autograd.backward(loss)
                nn.utils.clip_grad_norm_(student.parameters(), 5.0)
                for stepper in steppers:
                    stepper.step()
                for name, value in parts.items():
                    totals[name] = totals[name] + value if name in totals else value
                if time.monotonic() > said + OFTEN:
                    said = time.monotonic()
                    told = f"  epoch {epoch + 1}, step {done} of {steps}, loss {float(loss.detach()):.3f}"
                    self.say(f"{told} ({said - began:.0f} s)")
            states = [stepper.state_dict() for stepper in steppers]
            kept = {"student": student.state_dict(), "optimizers": states, "epoch": epoch + 1, "kind": kind}
            torch.save(kept, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            line = {"epoch": epoch + 1, "seconds": round(time.monotonic() - began, 1), "composing": round(prepared, 1)}
            self.say(json.dumps(line | {name: round(float(value) / steps, 4) for name, value in totals.items()}))
        self.compositions.close()

    def _ahead(
        self, pcm: Tensor, spans: NDArray[np.int32], target: Targets, chunks: list[NDArray[np.int64]]
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Batches and how they are heard, each prepared while the one before it is learned from."""
        augment = None if "rooms" in self.recipe.without else self.augment

        def prepared(chunk: NDArray[np.int64]) -> tuple[Batch, Tensor]:
            batch = batch_of(pcm, spans, target, chunk)
            return batch, heard_in_rooms(batch[0], augment)

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(prepared, chunks[0])
            for chunk in chunks[1:]:
                ready, coming = coming, pool.submit(prepared, chunk)
                yield ready.result()
            yield coming.result()

    def ship(self, models: Path) -> None:
        """Export the encoder, and what a later run can begin with; meta-learn the head and build the world around them
        from what was held out."""
        small = "small-" if self.recipe.channels == SMALL else ""
        name = f"speakerd-{small}{self.recipe.seed}-{self.recipe.epochs}"
        self.student.cpu()
        export(self.student.trunk, self.student.head, models, name)
        torch.save(self.student.learned(), models / "student.pt")
        self.say(f"exported, {multiply_accumulates(self.student.trunk):,} multiply-accumulates per second of audio")
        self.say("learning which sounds there are")
        sounds = models / "sounds.npz"
        sounds.unlink(missing_ok=True)
        learn_sounds(TrunkEncoder(models), self.corpora, sounds, self.recipe.seed)
        self.say("meta-learning the head")
        encoder = TrunkEncoder(models)
        head = meta_train(encoder, self.corpora, models / "adapt.onnx", self.recipe.seed)
        self.say("hearing what was held out")
        adapter = Adapter(models / "adapt.onnx", encoder.id)
        build(encoder, self.corpora, adapter, (head.mean, head.matrix), self.recipe.seed).save(models / "world.npz")
