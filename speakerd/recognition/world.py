"""What the encoder makes of the rest of the world: the space scores live in, and what strangers score there.

Shipped as ``world.npz``, with the encoder it was made by and the head that was meta-learned in it (``adapt.onnx``). It
holds embeddings of words and pieces of sentences that the encoder was not trained on (``cohort``, which scores are
taken relative to), windows of running speech as the spotter hears them (``impostors``, which thresholds are set by),
the mean and the matrix of that space, and how a command's own utterances score, learned from held-out words.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerd.events import Embedding
from speakerd.recognition.course import alike, arranged, parted, unit
from speakerd.recognition.encoder import ModelError
from speakerd.recognition.head import Adapter, Matrix, nearest, scores
from speakerd.recognition.lengths import Fits
from speakerd.store.knowledge import Heads

AT_ONCE = 256  # vectors that are compared with the cohort together: all impostors would take 32 MB for a moment
USUAL = 3  # examples that a command is taught from
FEW = 100  # impostors, by which no threshold can be set
LOOKED_AT = 600  # impostors nearest to a command, whose courses are compared with its
GRAIN = np.float32(1 / 127)  # of what is kept of impostors

Coarse = NDArray[np.int8]


@dataclass(frozen=True)
class Genuine:
    """How a command's next utterances score when it was taught from so many examples: in general (``mean``,
    ``deviation``), and given the mean that its examples score, each against the others: ``base + slope * own``, give or
    take ``residual``."""

    mean: float
    deviation: float
    base: float
    slope: float
    residual: float


class Resting:
    """Vectors (n, width), coarse, that only teaching needs, and that lie in their file meanwhile."""

    def __init__(self, read: Callable[[], Coarse]) -> None:
        self._read = read
        self._vectors: Coarse | None = read()

    @classmethod
    def of(cls, vectors: Coarse) -> "Resting":
        return cls(lambda: vectors)

    @property
    def vectors(self) -> Coarse:
        vectors = self._vectors
        if vectors is None:
            vectors = self._vectors = self._read()
        return vectors

    def rest(self) -> None:
        self._vectors = None


@dataclass(frozen=True)
class World:
    """See the module. ``mean`` (dimension,), ``matrix`` (dimension, dimension), ``cohort`` (embeddings, dimension) in
    the space, unit; ``courses`` (cohort, WIDTH) of them, coarse, empty where the encoder gives none; ``impostors``, as
    :meth:`place` gives them; ``near_impostors`` (impostors, 2 or 4): their ``strangers``, for other recordings than
    their own; ``lengths`` (impostors,): the place of each among the lengths of windows (lengths.py); ``genuine[k - 1]``
    is for k examples; ``impostors_per_hour``: how many impostors of the lengths that fit a command count like an hour
    of talk; ``clumped``: the power of it that more than one false accept an hour are, since then several are of one
    event. Without those scores can be had, but no thresholds."""

    adapter: Adapter
    encoder: str
    mean: Matrix
    matrix: Matrix
    cohort: Matrix
    courses: Coarse = field(default_factory=lambda: np.zeros((0, 0), np.int8))
    impostors: Resting = field(default_factory=lambda: Resting.of(np.zeros((0, 0), np.int8)))
    near_impostors: Matrix = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    lengths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    genuine: tuple[Genuine, ...] = ()
    impostors_per_hour: float = 0.0
    clumped: float = 1.0

    @classmethod
    def load(cls, path: Path, adapter: Path, encoder: str) -> "World":
        """Read world.npz and adapt.onnx, wherever they lie.

        Raises:
            ModelError: one is missing, damaged, or made by another encoder than ``encoder``.
        """
        head = Adapter(adapter, encoder)
        try:
            file = np.load(path, allow_pickle=False)  # stays open, and the same where another is put in its place
            if "impostors" in file and "courses" not in file:
                reason = "was made by an earlier speakerd: install the models that came with this one"
                raise ModelError(f"{path} {reason}")
            found = cls(
                head,
                str(file["encoder"]),
                file["mean"].astype(np.float32),
                file["matrix"].astype(np.float32),
                file["cohort"].astype(np.float32),
                file["courses"],
                Resting(lambda: file["impostors"]),
                file["near_impostors"],
                file["lengths"],
                tuple(Genuine(*map(float, row)) for row in file["genuine"]),
                float(file["impostors_per_hour"]),
                float(file["clumped"]),
            )
        except ModelError:
            raise
        except Exception as error:  # numpy, zipfile and zlib each have exceptions of their own for damage
            raise ModelError(f"{path} is missing or damaged ({error}): reinstall speakerd's models") from error
        if found.encoder != encoder:
            raise ModelError(f"{path} was made with another encoder than the one beside it; install or make both again")
        return found

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            encoder=np.array(self.encoder),
            mean=self.mean,
            matrix=self.matrix,
            cohort=self.cohort.astype(np.float16),
            courses=self.courses,
            impostors=self.impostors.vectors,
            near_impostors=self.near_impostors,
            lengths=self.lengths,
            genuine=np.array([(g.mean, g.deviation, g.base, g.slope, g.residual) for g in self.genuine]),
            impostors_per_hour=np.array(self.impostors_per_hour),
            clumped=np.array(self.clumped),
        )

    def rest(self) -> None:
        """Let go of what only teaching needs, 5 MB; whoever teaches next waits a twelfth of a second for it."""
        self.impostors.rest()
        self.adapter.rest()

    def place(self, embeddings: Matrix | Embedding) -> Matrix:
        """Embeddings (..., dimension) of the encoder to what scores are of: unit vectors of the space that they live in
        and, beside them, the course."""
        _, course = parted(embeddings, len(self.mean))
        return np.concatenate([self.point(embeddings), course], axis=-1)

    def point(self, embeddings: Matrix | Embedding) -> Matrix:
        """Where embeddings (..., dimension) of the encoder lie in the space, whatever the order of their sounds."""
        pooled, _ = parted(embeddings, len(self.mean))
        return unit(np.asarray((pooled - self.mean) @ self.matrix, np.float32))

    def usual(self, examples: int) -> Genuine:
        """How utterances of commands with so many examples score. There must be ``genuine``."""
        return self.genuine[min(examples, len(self.genuine)) - 1]

    @property
    def spread(self) -> float:
        """The deviation of what a command's own utterances score, when it was taught from three examples, as most are.
        There must be ``genuine``."""
        return self.usual(USUAL).deviation

    def highest(self, heads: Heads, placed: Matrix) -> NDArray[np.float32]:
        """What vectors (n, dimension) of the space score as the command that all ``heads`` are of, (n,)."""
        found: NDArray[np.float32] = scores(heads, placed, self.strangers(placed)).max(axis=1)
        return found

    @cached_property
    def id(self) -> str:
        """Tells worlds of one encoder apart: what was derived in one means nothing in another."""
        parts = (self.mean, self.matrix, self.cohort, self.courses)
        return f"{zlib.crc32(b''.join(part.tobytes() for part in parts), zlib.crc32(self.adapter.id.encode())):08x}"

    def against(self, heads: Heads, fits: Fits) -> Matrix:
        """What impostors of the lengths that ``fits`` (lengths,) names score (n, heads); where there are only a few
        such, as there are for commands of three seconds, what all of them do. The courses of those whose points are
        far from the command are not looked at: they would have to be the command's own."""
        rows = fits[self.lengths]
        if rows.sum() < FEW:
            rows = np.ones_like(rows)
        near, vectors = self.near_impostors[rows], self.impostors.vectors[rows]
        found = scores(heads, fine(vectors[:, : len(self.mean)]), near)
        if self.courses.size:
            first = np.argpartition(found.max(axis=1), -min(LOOKED_AT, len(found)))[-LOOKED_AT:]
            found[first] = scores(heads, fine(vectors[first]), near[first])
        return found

    def strangers(self, vectors: Matrix) -> NDArray[np.float32]:
        """How near strangers come to points of the space, and to courses if there are any: what scores are taken
        relative to, (n, 2) or (n, 4)."""
        dimension = len(self.mean)
        found = []
        for at in range(0, max(1, len(vectors)), AT_ONCE):
            part = vectors[at : at + AT_ONCE]
            found.append(self.adapter.strangers(part[:, :dimension], self.cohort))
            if self.courses.size:
                found[-1] = np.concatenate([found[-1], self.near(part[:, dimension:])], axis=1)
        return np.concatenate(found)

    def near(self, courses: Matrix) -> Matrix:
        """How near the courses of strangers come to ``courses`` (n, WIDTH), (n, 2)."""
        return nearest(alike(courses, self._arranged))

    def among(self, rows: NDArray[np.bool_]) -> "World":
        """The world with some of its strangers."""
        courses = self.courses[rows] if self.courses.size else self.courses
        return replace(self, cohort=self.cohort[rows], courses=courses)

    @cached_property
    def _arranged(self) -> Matrix:
        return arranged(fine(self.courses))


def coarse(vectors: Matrix) -> Coarse:
    """Unit vectors in a byte a coordinate: half the memory of two, and a tenth of the time to get them back."""
    return np.asarray(np.rint(vectors / GRAIN), np.int8)


def fine(vectors: Coarse) -> Matrix:
    return vectors * GRAIN


def whitening_of(embeddings: Matrix, floor: float = 1.0) -> tuple[Matrix, Matrix]:
    """Mean and whitening matrix from embeddings (n, dimension); small variances are raised by ``floor`` of the mean."""
    values, vectors = np.linalg.eigh(np.cov(embeddings.T))
    values = np.maximum(values, 0) + floor * values.mean()
    return embeddings.mean(axis=0), np.asarray(vectors / np.sqrt(values), np.float32)
