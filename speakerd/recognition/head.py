"""The few-step head: heads of commands from a few examples, by an inner loop that was learned beforehand.

``adapt.onnx`` holds five steps of gradient descent with their gradients, made by ``speakerd train``
(training/meta/inner.py says what they descend on, start.py where they begin). A command's score for an utterance is
linear in the world's space; to it is added how far the utterance lies above the strangers nearest to it, and how much
more alike its course is to the command's than to those of strangers (course.py), by AS-norm (Matejka et al. 2017).
"""

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from speakerd.recognition.course import alike, arranged
from speakerd.recognition.encoder import ModelError, open_model
from speakerd.store.knowledge import Heads

FORMAT = "2"
NEAREST = 100  # strangers that a score is taken relative to
AT_ONCE = 256  # vectors that are compared with others together: a world with itself would take 16 MB for a moment
BY_COURSE = np.float32(0.06)  # how much the course counts, for utterance and command each: chosen among 0.015 to 0.075
HARDEST = 128  # strangers nearest to a command, that its loss hears of; with fewer, they are filled up with nothing

Matrix = NDArray[np.float32]


class Adapter:
    """The inner loop of one adapt.onnx. Safe to share between threads."""

    def __init__(self, path: Path, encoder_id: str) -> None:
        """Raises:
        ModelError: the file is missing, damaged, of another format, or was made for another encoder.
        """
        if not path.exists():
            raise ModelError(
                f"{path} is missing: reinstall speakerd, or set recognition.models to a folder that has it"
            )
        self._path, self._graph = path, path.read_bytes()
        self._session: InferenceSession | None = open_model(path, self._graph)
        about = self._session.get_modelmeta().custom_metadata_map
        if about.get("format") != FORMAT:
            raise ModelError(
                f"{path} is of format {about.get('format', 'unknown')}, this speakerd reads format {FORMAT}: "
                "install the models that came with it"
            )
        if about.get("encoder") != encoder_id:
            raise ModelError(f"{path} was made for another encoder than encoder.onnx beside it; install both again")
        self.id = f"{zlib.crc32(self._graph):08x}"  # tells heads of one encoder apart
        self._lean = np.float32(about["lean"])
        self._world: tuple[Matrix, Matrix] | None = None  # how near its vectors are to each other

    def adapt(self, support: Matrix, member: Matrix, world: Matrix, room: Matrix) -> Heads:
        """Heads from examples (n, dimension) in the world's space and how much each counts for each head (n, heads),
        against the world (m, dimension) and what was heard in this room (r, dimension)."""
        others = np.concatenate([world, room])
        near = self._among(others) if len(room) else self._among_world(world)
        lacking = max(0, HARDEST - len(others))
        session = self._session = self._session or open_model(self._path, self._graph)
        w, b = session.run(
            None,
            {
                "support": support,
                "member": np.asarray(member, np.float32),
                "others": np.pad(others, ((0, lacking), (0, 0))),
                "share": np.pad(np.ones(len(near), np.float32), (0, lacking)),
                "near": np.pad(near, ((0, lacking), (0, 0))),
            },
        )
        return Heads(w, b)

    def rest(self) -> None:
        """Let go of what only teaching needs, 2 MB; whoever teaches next waits a twentieth of a second for it."""
        self._session = None

    def strangers(self, vectors: Matrix, others: Matrix) -> Matrix:
        """What scores of points (n, dimension) are taken relative to (n, 2): the mean cosine of the nearest of the
        others (m, dimension), and what one above it is worth."""
        return nearest(vectors @ others.T, self._lean)

    def _among_world(self, world: Matrix) -> Matrix:
        if self._world is None or self._world[0] is not world:
            self._world = world, self._among(world)
        return self._world[1]

    def _among(self, others: Matrix) -> Matrix:
        """``strangers`` of the others among themselves, of whom none is near to itself."""
        found = []
        for at in range(0, len(others), AT_ONCE):
            cosines = others[at : at + AT_ONCE] @ others.T
            rows = np.arange(len(cosines))
            cosines[rows, at + rows] -= 3
            found.append(nearest(cosines, self._lean))
        return np.concatenate(found)


def nearest(likeness: Matrix, worth: np.float32 = BY_COURSE) -> Matrix:
    """Of how alike something is to each of the strangers, (n, strangers), which is put in another order: the mean of
    the nearest and what one above it is worth, ``worth`` over their deviation, (n, 2)."""
    count = min(NEAREST, likeness.shape[1])
    likeness.partition(-count, axis=1)
    top = likeness[:, -count:]
    deviation = np.sqrt(top.var(axis=1) + np.float32(1e-6))
    return np.stack([top.mean(axis=1), worth / deviation], axis=1)


def scores(heads: Heads, vectors: Matrix, strangers: Matrix) -> Matrix:
    """Scores (n, heads) of vectors (n, dimension + WIDTH), points of the world's space and courses; ``strangers``
    (n, 4) is ``World.strangers`` of them. Of points alone, (n, dimension) and (n, 2), as if all courses were alike."""
    dimension = heads.weights.shape[1]
    points, of_points, of_courses = vectors[:, :dimension], strangers[:, :2], strangers[:, 2:]
    directions = heads.weights / np.maximum(np.linalg.norm(heads.weights, axis=1, keepdims=True), 1e-6)
    above = points @ directions.T - of_points[:, :1]
    found = points @ heads.weights.T + heads.bias + of_points[:, 1:] * above
    if heads.courses.size and vectors.shape[1] > dimension:
        course = vectors[:, dimension:]
        if len(course) < len(heads.courses):
            likeness = alike(course, arranged(heads.courses))
        else:
            likeness = alike(heads.courses, arranged(course)).T
        found += (likeness - of_courses[:, :1]) * of_courses[:, 1:]
        found += (likeness - heads.near[:, 0]) * heads.near[:, 1]
    return np.asarray(found, np.float32)
