"""Running speech as the spotter hears it, and how many chances to be wrong an hour of it brings.

Thresholds are set by windows of running speech, a few thousand that were picked at random. The spotter looks at windows
a dozen times a second and of several lengths, of which neighbours score alike, and takes the best of them. How many
windows picked at random an hour of talk is worth, so that the rates which they predict are those of events, is found by
counting what happens on held-out speech.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.segmenter import frames_of
from speakerd.config.settings import Gate
from speakerd.events import Samples
from speakerd.learning.calibration import Impostors
from speakerd.listening.windows import Ear, Window
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix, scores
from speakerd.recognition.lengths import Fits, lengths
from speakerd.recognition.world import Coarse, Resting, World, fine
from speakerd.store.knowledge import Heads

DEAF = 2.0  # seconds after an event in which nothing counts
WANTED, MANY = 1.0, 10.0  # false accepts an hour of each command: enough of them can be counted there


@dataclass(frozen=True)
class Windows:
    """Windows of one recording: ``vectors`` (n, dimension) by the encoder, ``lengths`` (n,) their places among the
    lengths, ``ends`` (n,) in seconds."""

    vectors: NDArray[np.float16]
    lengths: NDArray[np.int64]
    ends: NDArray[np.float64]


def windows(encoder: Encoder, samples: Samples, wanted: Fits | None = None) -> Windows:
    """All windows that the spotter would look at, of the ``wanted`` lengths (None: of all)."""
    places = list(range(len(lengths(encoder)))) if wanted is None else np.flatnonzero(wanted).tolist()
    ear, found = Ear(encoder, Gate()), list[Window]()
    vectors = [np.zeros((0, encoder.dimension), np.float16)]
    for frames, hops in [*(ear.push(frame, places) for frame in frames_of(samples)), ear.flush(places)]:
        if here := [window for hop in hops for window in hop]:
            runs = [window.run for window in here]
            vectors.append(encoder.embeddings(encoder.pool(frames, runs), frames, runs).astype(np.float16))
            found += here
    lasting, ends = np.array([window.length for window in found], np.int64), np.array([window.end for window in found])
    return Windows(np.concatenate(vectors), lasting, ends)


@dataclass(frozen=True)
class Talk:
    """Windows of ``hours`` of recordings, one after the other: ``vectors`` (n, dimension; coarse) as ``World.place``
    gives them and their ``near`` (n, 2 or 4), ``lengths`` (n,), ``ends`` (n,) in seconds."""

    vectors: Coarse
    near: Matrix
    lengths: NDArray[np.int64]
    ends: NDArray[np.float64]
    hours: float

    def some(self, rows: NDArray[np.int64], world: World) -> World:
        """The world with some of them as its impostors."""
        impostors = Resting.of(self.vectors[rows])
        return replace(world, impostors=impostors, near_impostors=self.near[rows], lengths=self.lengths[rows])


def chances_per_hour(world: World, talk: Talk, commands: Sequence[tuple[Heads, Fits]]) -> tuple[float, float]:
    """What ``impostors_per_hour`` and ``clumped`` must be for the rates of :class:`Impostors` to be those of events.
    ``commands`` is said by nobody in the ``talk``: the head of each, and which lengths fit it."""
    order = np.argsort(talk.ends, kind="stable")
    times = talk.ends[order]
    thought, best = [], []
    for heads, fits in commands:
        thought.append(Impostors(world.against(heads, fits).max(axis=1), 1.0))
        found = np.full(len(order), -np.inf, np.float32)
        rows = np.flatnonzero(fits[talk.lengths[order]])
        for some in np.array_split(rows, len(rows) // 20000 + 1):
            vectors = fine(talk.vectors[order[some]])
            found[some] = scores(heads, vectors, talk.near[order[some]]).max(axis=1)
        best.append(found)

    def share(rate: float) -> float:
        """Of impostors, at which so many events an hour happen."""
        low, high = 1e-9, 1.0
        for _ in range(30):
            middle = float(np.sqrt(low * high))
            happened = (_events(times[f >= one.threshold(middle)]) for one, f in zip(thought, best, strict=True))
            low, high = (middle, high) if sum(happened) < rate * talk.hours * len(commands) else (low, middle)
        return middle

    few, many = share(WANTED), share(MANY)
    told_apart = many > 2 * few  # not where there is little talk
    return WANTED / few, log(MANY / WANTED) / log(many / few) if told_apart else 1.0


def _events(times: NDArray[np.float64]) -> int:
    count, until = 0, -1.0
    for time in times:
        if time >= until:
            count, until = count + 1, time + DEAF
    return count
