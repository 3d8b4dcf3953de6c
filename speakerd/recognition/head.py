"""The few-step head: heads of commands from a few examples, by an inner loop that was learned beforehand.

``adapt.onnx`` holds five steps of gradient descent with their gradients, made by ``speakerd train``
(training/meta/inner.py says what they descend on, start.py where they begin). A command's score for an utterance is
linear in the world's space; to it is added how far the utterance lies above the strangers nearest to it.
"""

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from speakerd.recognition.encoder import ModelError, open_model
from speakerd.store.knowledge import Heads

FORMAT = "2"
NEAREST = 100  # strangers that a score is taken relative to
AT_ONCE = 256  # vectors that are compared with others together: a world with itself would take 16 MB for a moment
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
        """What scores of vectors (n, dimension) are taken relative to (n, 2): the mean cosine of the nearest of the
        others (m, dimension), and what one above it is worth."""
        return self._relative(vectors @ others.T)

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
            found.append(self._relative(cosines))
        return np.concatenate(found)

    def _relative(self, cosines: Matrix) -> Matrix:
        nearest = min(NEAREST, cosines.shape[1])
        cosines.partition(-nearest, axis=1)
        top = cosines[:, -nearest:]
        deviation = np.sqrt(top.var(axis=1) + np.float32(1e-6))
        return np.stack([top.mean(axis=1), self._lean / deviation], axis=1)


def scores(heads: Heads, vectors: Matrix, strangers: Matrix) -> Matrix:
    """Scores (n, commands) of vectors (n, dimension) in the world's space; ``strangers`` (n, 2) is
    ``Adapter.strangers`` of them."""
    directions = heads.weights / np.maximum(np.linalg.norm(heads.weights, axis=1, keepdims=True), 1e-6)
    above = vectors @ directions.T - strangers[:, :1]
    return np.asarray(vectors @ heads.weights.T + heads.bias + strangers[:, 1:] * above, np.float32)
