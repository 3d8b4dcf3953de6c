"""The spotter: frames in, a detection out whenever a command was said, also in the middle of talk."""

import time
import uuid
from collections import deque
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import FRAME, LONGEST, Segmenter, decibels
from speakerd.config.settings import Gate
from speakerd.events import Detection, Embedding, Evidence, Samples, Utterance
from speakerd.listening.peaks import Candidate, Peaks
from speakerd.listening.windows import SURE, Ear, Hops
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix
from speakerd.recognition.lengths import fitting
from speakerd.recognition.scoring import Matcher
from speakerd.recognition.world import World
from speakerd.store.knowledge import Command, Knowledge, begins

AROUND = 0.3  # seconds of sound kept before and after what was heard
NEAR = 0.5  # deviations of genuine scores below a threshold, from which on a rough score, or one look, does not do
GAIN = 0.8  # what the right course adds to a score, as a rule


class _Known:
    """What one version of the knowledge means for the spotter."""

    def __init__(self, encoder: Encoder, world: World, commands: tuple[Command, ...]) -> None:
        self._encoder, self._world, self._commands = encoder, world, commands
        self._matcher = Matcher(world, commands)
        self._fits = np.array([fitting(encoder, command.seconds) for command in commands]).T  # (lengths, commands)
        self._near = NEAR * world.spread + (GAIN if world.courses.size else 0)
        self.wanted = np.flatnonzero(self._fits.any(axis=1)).tolist() if commands else []
        self._thresholds = np.array([command.threshold for command in commands], np.float32)
        names = [command.name for command in commands]
        self._begins_another = [any(begins(name, other) for other in names) for name in names]

    def best(self, heard: Hops) -> Iterator[Candidate]:
        """Which command it is most likely in the windows that end at each hop. All windows are compared roughly, and
        the best of a hop exactly where that may decide."""
        hops = [hop for hop in heard.hops if hop]
        windows = [window for hop in hops for window in hop]
        if not windows:
            return
        pooled = self._encoder.pool(heard.frames, [window.run for window in windows])
        found = self._matcher.rough(self._world.point(pooled))
        fits = self._fits[[window.length for window in windows]]
        margins = self._margins(found, fits).max(axis=1)
        starts = np.cumsum([0, *map(len, hops)])
        best = np.array([a + margins[a:b].argmax() for a, b in pairwise(starts)])
        best = best[np.isfinite(margins[best])]
        embeddings = self._encoder.embeddings(pooled[best], heard.frames, [windows[row].run for row in best])
        close = margins[best] > -self._near
        if close.any():
            found[best[close]] = self._matcher.scores(self._world.place(embeddings[close]))
        for row, embedding in zip(best, embeddings, strict=True):
            command = int(self._margins(found[row : row + 1], fits[row]).argmax())
            window = windows[row]
            yield self._candidate(command, found[row], fits[row], window.start, window.end, embedding)

    def again(self, peak: Candidate, embedding: Embedding) -> Candidate:
        """What it is by another embedding (dimension,) of it. Of what was known before it stays what it was.

        It is the command that scores most, though another one may be further above a lower threshold: as in ``score``,
        and a third fewer of people's words are taken for another one."""
        if peak.commands is not self._commands:
            return peak
        found = self._matcher.scores(self._world.place(embedding[None]))
        command = int(np.where(peak.fits, self._matcher.of_commands(found), -np.inf).argmax())
        return self._candidate(command, found[0], peak.fits, peak.start, peak.end, embedding)

    def _candidate(
        self, command: int, found: Matrix, fits: NDArray[np.bool_], start: float, end: float, embedding: Embedding
    ) -> Candidate:
        speaker, score = self._matcher.who(found, command)
        return Candidate(
            self._commands, command, speaker, score, start, end, self._begins_another[command],
            self._matcher.of_commands(found[None])[0], embedding, fits,
        )  # fmt: skip

    def _margins(self, found: Matrix, fits: NDArray[np.bool_]) -> Matrix:
        return np.where(fits, self._matcher.of_commands(found) - self._thresholds, -np.inf)


class Spotter:
    """Gates, embeds windows and compares. :meth:`know` may be called from another thread at any time."""

    def __init__(self, encoder: Encoder, world: World, gate: Gate, knowledge: Knowledge) -> None:
        self._encoder, self._world = encoder, world
        self._ear = Ear(encoder, gate)
        self._peaks = self._no_peaks()
        self._heard: deque[Samples] = deque(maxlen=round((LONGEST + 1) * SAMPLE_RATE / FRAME))
        self.know(knowledge)

    @property
    def segmenter(self) -> Segmenter:
        return self._ear.segmenter

    @property
    def hurried(self) -> bool:
        """Whether somebody has just stopped speaking, or may just have said a command."""
        return self.segmenter.open and (0 < self.segmenter.pause <= 2 * SURE or self._peaks.rising)

    def know(self, knowledge: Knowledge) -> None:
        """Listen for other commands from the next hop on."""
        self._known = _Known(self._encoder, self._world, knowledge.commands)  # swapped between two frames

    def push(self, frame: Samples) -> list[Detection]:
        """Take the next frame; what has become sure with it, accepted or not."""
        known, was_open = self._known, self.segmenter.open
        self._heard.append(frame)
        return self._decided(known, self._ear.push(frame, known.wanted, self._peaks.rising), was_open)

    def flush(self) -> list[Detection]:
        """The stream is over."""
        known, was_open = self._known, self.segmenter.open
        return self._decided(known, self._ear.flush(known.wanted), was_open)

    def reset(self) -> None:
        """The stream was interrupted: nothing that was heard before is put together with what comes."""
        self._ear.reset()
        self._heard.clear()
        self._peaks = self._no_peaks()

    def _no_peaks(self) -> Peaks:
        return Peaks(NEAR * self._world.spread, self._again)

    def _again(self, peak: Candidate) -> Candidate:
        """What it is heard by itself, as examples are."""
        return self._known.again(peak, self._encoder.embed(self._utterance(peak)))

    def _decided(self, known: _Known, heard: Hops, was_open: bool) -> list[Detection]:
        candidates = known.best(heard) if heard.hops else ()
        found = [peak for candidate in candidates for peak in self._peaks.push(candidate)]
        if was_open and not self.segmenter.open:
            found += self._peaks.close()
        elif heard.hops and self._ear.over:
            found += self._peaks.over()
        return [self._detection(peak) for peak in found]

    def _detection(self, peak: Candidate) -> Detection:
        utterance = self._utterance(peak)
        speech = utterance.samples[utterance.begin : utterance.end]
        return Detection(
            id=uuid.uuid4().hex[:12],
            time=utterance.decided,
            start=peak.start,
            command=peak.command.name,
            score=peak.score,
            threshold=peak.command.threshold,
            accepted=peak.margin >= 0,
            speaker=peak.speaker,
            at=time.time(),
            action=peak.command.action,
            evidence=Evidence(
                names=tuple(command.name for command in peak.commands),
                scores=peak.scores.copy(),  # a row of many
                thresholds=np.array([command.threshold for command in peak.commands], np.float32),
                embedding=peak.embedding.copy(),
                level=decibels(speech) if len(speech) else self.segmenter.level,
                room=self.segmenter.room.level,
                utterance=utterance,
            ),
        )

    def _utterance(self, peak: Candidate) -> Utterance:
        """The sound of a peak, as far as it is still there."""
        now = self._ear.frames
        first = now - len(self._heard)
        begin = max(first, round((peak.start - AROUND) * SAMPLE_RATE / FRAME))
        end = min(now, round((peak.end + AROUND) * SAMPLE_RATE / FRAME))
        samples = np.concatenate(list(self._heard)[begin - first : end - first] or [np.zeros(0, np.float32)])
        offset = begin * FRAME
        start, stop = (min(max(0, round(at * SAMPLE_RATE) - offset), len(samples)) for at in (peak.start, peak.end))
        return Utterance(samples, start, stop, peak.start, now * FRAME / SAMPLE_RATE)
