"""Running speech as the spotter hears it, and how many chances to be wrong an hour of it brings.

Thresholds are set by windows of running speech, a few thousand that were picked at random. The spotter looks at windows
a dozen times a second and of several lengths, of which neighbours score alike, and takes the best of them. How many
windows picked at random an hour of talk is worth, so that the rates which they predict are those of events, is found by
counting what happens on held-out speech: peaks of what the spotter hears at once, by what they score heard once more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import frames_of
from speakerd.config.settings import Gate
from speakerd.events import Embedding, Samples, Utterance
from speakerd.learning.calibration import Impostors
from speakerd.listening.spotter import AROUND
from speakerd.listening.windows import Ear, Window
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix, scores
from speakerd.recognition.lengths import Fits, lengths
from speakerd.recognition.world import Coarse, World, fine
from speakerd.store.knowledge import Heads

DEAF = 2.0  # seconds after an event in which nothing counts
NEXT = 0.5  # seconds around a peak that are its own
ASIDE = 4  # times as many peaks are heard once more as MANY events have
WANTED, MANY = 1.0, 10.0  # false accepts an hour of each command: enough of them can be counted there


@dataclass(frozen=True)
class Windows:
    """Windows of one recording: ``vectors`` (n, dimension) by the encoder, ``lengths`` (n,) their places among the
    lengths, ``starts`` and ``ends`` (n,) in seconds of the ``samples``."""

    samples: NDArray[np.float16]
    vectors: NDArray[np.float16]
    lengths: NDArray[np.int64]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]

    def alone(self, encoder: Encoder, row: int) -> Embedding:
        """The embedding (dimension,) of one of them where it came so close that it is heard once more."""
        start, end = round(self.starts[row] * SAMPLE_RATE), round(self.ends[row] * SAMPLE_RATE)
        first = max(0, start - round(AROUND * SAMPLE_RATE))
        around = self.samples[first : end + round(AROUND * SAMPLE_RATE)].astype(np.float32)
        return encoder.embed(Utterance(around, start - first, end - first, start / SAMPLE_RATE, 0.0))


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
    lasting, starts, ends = (np.array([getattr(w, what) for w in found]) for what in ("length", "start", "end"))
    return Windows(samples.astype(np.float16), np.concatenate(vectors), lasting.astype(np.int64), starts, ends)


@dataclass(frozen=True)
class Talk:
    """Windows of ``hours`` of recordings, one after the other: ``vectors`` (n, dimension; coarse) as ``World.place``
    gives them and their ``near`` (n, 2 or 4), ``lengths`` (n,), ``ends`` (n,) in seconds."""

    vectors: Coarse
    near: Matrix
    lengths: NDArray[np.int64]
    ends: NDArray[np.float64]
    hours: float


Again = Callable[[NDArray[np.int64]], tuple[Coarse, Matrix]]


def chances_per_hour(
    world: World, talk: Talk, commands: Sequence[tuple[Heads, Fits]], again: Again
) -> tuple[float, float]:
    """What ``impostors_per_hour`` and ``clumped`` must be for the rates of :class:`Impostors` to be those of events.
    ``commands`` is said by nobody in the ``talk``: the head of each, and which lengths fit it. ``again`` gives the
    vectors of rows of the talk, and their ``near``, as they are heard once more."""
    thought, found = [], []
    for heads, fits in commands:
        thought.append(Impostors(world.against(heads, fits).max(axis=1), 1.0))
        rows = np.flatnonzero(fits[talk.lengths])
        at_once = [
            scores(heads, fine(talk.vectors[some]), talk.near[some]).max(axis=1)
            for some in np.array_split(rows, len(rows) // 20000 + 1)
        ]
        peaks = rows[_peaks(np.concatenate(at_once), talk.ends[rows], ceil(ASIDE * MANY * talk.hours))]
        peaks = peaks[np.argsort(talk.ends[peaks])]
        vectors, near = again(peaks)
        found.append((talk.ends[peaks], scores(heads, fine(vectors), near).max(axis=1)))

    def share(rate: float) -> float:
        """Of impostors, at which so many events an hour happen."""
        low, high = 1e-9, 1.0
        for _ in range(30):
            middle = float(np.sqrt(low * high))
            thresholds = (one.threshold(middle) for one in thought)
            happened = (_events(ends[f >= least]) for (ends, f), least in zip(found, thresholds, strict=True))
            low, high = (middle, high) if sum(happened) < rate * talk.hours * len(commands) else (low, middle)
        return middle

    few, many = share(WANTED), share(MANY)
    told_apart = many > 2 * few  # not where there is little talk
    return WANTED / few, log(MANY / WANTED) / log(many / few) if told_apart else 1.0


def _peaks(found: NDArray[np.float32], ends: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """The highest, none of them next to a higher one: places (most,)."""
    order, taken = np.argsort(-found), list[int]()
    for place in order:
        if len(taken) == most:
            break
        if not taken or np.abs(ends[taken] - ends[place]).min() >= NEXT:
            taken.append(int(place))
    return np.array(taken, np.int64)


def _events(times: NDArray[np.float64]) -> int:
    count, until = 0, -1.0
    for time in times:
        if time >= until:
            count, until = count + 1, time + DEAF
    return count
