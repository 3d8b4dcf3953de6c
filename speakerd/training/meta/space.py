"""The space in which commands are told apart: where it starts, before anything is meta-learned.

Directions in which one and the same word varies, from person to person and room to room, say little; they are shrunk by
the covariance within the classes of the cache (within-class covariance normalisation, Hatch et al. 2006). The encoder's
learned words are good for this though the network has seen them: there are more of them than of held-out ones, and what
varies within a word hardly depends on which it is. The learned metric is this matrix times (1 + ``metric``).
"""

import numpy as np
from torch import Tensor

from speakerd.errors import SpeakerdError
from speakerd.recognition.head import Matrix
from speakerd.training.meta.cache import HELD, ONCE, SEEN, TALK, Cache

FLOOR = 1.0  # of the mean variance, added to each direction
ENOUGH = 5  # utterances of a word that show how it varies


def first_space(cache: Cache) -> tuple[Matrix, Matrix]:
    """The mean (dimension,) and the matrix (dimension, dimension).

    Raises:
        SpeakerdError: no word is said often enough.
    """
    spreads = []
    for kind in (SEEN, HELD):
        for word in np.unique(cache.word[cache.kind == kind]):
            said = cache.vectors[(cache.kind == kind) & (cache.word == word)]
            if len(said) >= ENOUGH:
                spreads.append(np.cov(said.T))
        if len(spreads) >= 2:
            break
    if not spreads:
        raise SpeakerdError(f"no word is said by {ENOUGH} people: how words vary cannot be learned")
    values, axes = np.linalg.eigh(np.mean(spreads, axis=0))
    values = np.maximum(values, 0)
    matrix = axes / np.sqrt(values / values.mean() + FLOOR)
    strange = [cache.vectors[cache.kind == kind] for kind in (ONCE, TALK)]
    mean = np.mean([vectors.mean(axis=0) for vectors in strange if len(vectors)], axis=0)
    return mean.astype(np.float32), matrix.astype(np.float32)


def projected(metric: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (n, dimension) of the first space to unit vectors of the learned one."""
    moved = vectors + vectors @ metric
    return moved / (moved.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()
