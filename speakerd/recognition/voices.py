"""Who said it: the voices of those who taught a command, and whether it surely was one of them.

The encoder was made to tell words apart, and the same word of different people still lies in different places: examples
that carry a name tell how a person says the command. Somebody is named only where the utterance is nearer to that
person's examples than to anybody else's and about as near as these are to each other. This is for convenience: a
recording of somebody's voice, or a voice that is like it, is named as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speakerd.events import Embedding
from speakerd.recognition.head import Matrix

# How sure is sure: where three people gave three examples each, 62 and 72 % of what they say is named right by this,
# under 1 % wrong, and 10 % of what strangers say gets a name (`speakerd eval speakers` on two corpora).
SURE = 0.15


@dataclass(frozen=True)
class Voices:
    """Of one command: ``names`` (None: examples without a name), where each person's examples lie (names, dimension)
    in the world's space, and the ``usual`` cosine of an example to that person's others."""

    names: tuple[str | None, ...]
    centres: Matrix
    usual: float

    @classmethod
    def of(cls, examples: Matrix, speakers: Sequence[str | None]) -> "Voices | None":
        """From examples (n, dimension) in the world's space. None where there are not two people to tell apart, or
        nobody gave two examples."""
        names = sorted(set(speakers), key=lambda name: (name is None, name))
        of = [examples[[speaker == name for speaker in speakers]] for name in names]
        alike = [
            float(said[i] @ _middle(np.delete(said, i, axis=0)))
            for said in of
            if len(said) > 1
            for i in range(len(said))
        ]
        if len(names) < 2 or not alike:
            return None
        return cls(tuple(names), np.stack([_middle(said) for said in of]), float(np.mean(alike)))

    def nearest(self, vectors: Matrix) -> tuple[np.ndarray, np.ndarray]:
        """Of vectors (n, dimension) in the world's space the place in ``names`` (n,) of who comes nearest, and how sure
        that is (n,)."""
        near = vectors @ self.centres.T
        first, second = np.sort(near, axis=1)[:, :-3:-1].T
        return near.argmax(axis=1), (first - second) + (first - self.usual)

    def who(self, vector: Embedding) -> str | None:
        """Whose a vector (dimension,) in the world's space surely is; None for nobody's that is known."""
        (name,), (sure,) = self.nearest(vector[None])
        return self.names[name] if sure >= SURE else None


def _middle(vectors: Matrix) -> Embedding:
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(1e-9, float(np.linalg.norm(mean))), np.float32)
