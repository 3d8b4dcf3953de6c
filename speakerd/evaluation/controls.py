"""The ways of recognising that the product's own has to beat, each on the same embeddings.

A scorer is taught from support vectors and their owners (0, 1, ... for the commands; UNKNOWN for words that are known
to be none, which only some use) and gives a function from vectors (n) to scores (n, commands), higher is surer.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from speakerd.evaluation.space import Vectors, nearest
from speakerd.recognition.course import unit
from speakerd.recognition.head import Matrix
from speakerd.recognition.world import World

UNKNOWN = -1

Owners = NDArray[np.intp]
Score = Callable[[Vectors], NDArray[np.float32]]
Scorer = Callable[[World, Vectors, Owners], Score]

RIDGE = 3000.0  # penalty, as a sum over the inputs
WITHIN = 0.5  # share of the variance that lies within a command, where only few examples tell
TRUST = 300.0  # how many examples that share is worth


def prototype(world: World, support: Vectors, owners: Owners) -> Score:
    """Cosine to the mean of a command's embeddings as the encoder gives them (Snell et al. 2017, arXiv 1703.05175)."""
    centres = unit(_means(support.raw, owners))
    return lambda tried: np.asarray(tried.raw @ centres.T, np.float32)


def whitened(world: World, support: Vectors, owners: Owners) -> Score:
    """The same after whitening with the full covariance of world embeddings."""
    centres = unit(_means(support.full, owners))
    return lambda tried: np.asarray(tried.full @ centres.T, np.float32)


def as_norm(world: World, support: Vectors, owners: Owners) -> Score:
    """Cosine to the prototype after whitening, less the mean and over the deviation of the cosines that the nearest
    strangers have, once to the utterance and once to the prototype (Matejka et al. 2017)."""
    centres = unit(_means(support.full, owners))
    near = nearest(centres, support.cohort)
    return lambda tried: _normed(tried.full @ centres.T, tried.full_near, near)


def as_norm_learned(world: World, support: Vectors, owners: Owners) -> Score:
    """The same in the space that was meta-learned with the head: nearly the head before its first step."""
    centres = unit(_means(support.white, owners))
    near = nearest(centres, world.cohort)
    return lambda tried: _normed(tried.white @ centres.T, tried.near, near)


def _normed(cosines: Matrix, tried: Matrix, taught: Matrix) -> NDArray[np.float32]:
    """Cosines (n, commands), given how near strangers are to what is ``tried`` (n, 2) and ``taught`` (commands, 2)."""
    by_utterance = (cosines - tried[:, :1]) / tried[:, 1:]
    return np.asarray(0.5 * (by_utterance + (cosines - taught[:, 0]) / taught[:, 1]), np.float32)


def ridge(world: World, support: Vectors, owners: Owners) -> Score:
    """One against all strangers by regularised least squares, in closed form (Bertinetto et al. 2019, arXiv
    1805.08136); the examples of a command weigh as much as all strangers together."""
    examples, mine = support.white[owners >= 0], owners[owners >= 0]
    targets = np.eye(int(mine.max()) + 1)[mine]
    weights = np.concatenate([1 / np.bincount(mine)[mine], np.full(len(world.cohort), 1 / len(world.cohort))])
    inputs = np.concatenate([examples, world.cohort]).astype(float)
    inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    outputs = np.concatenate([targets, np.zeros((len(world.cohort), targets.shape[1]))])
    penalty = RIDGE * np.eye(inputs.shape[1]) / inputs.shape[1]
    solved = np.linalg.solve(inputs.T @ (weights[:, None] * inputs) + penalty, inputs.T @ (weights[:, None] * outputs))
    return lambda tried: np.asarray(tried.white @ solved[:-1] + solved[-1], np.float32)


def gaussian(world: World, support: Vectors, owners: Owners) -> Score:
    """Log likelihood ratio of a command's class to the world, both normal, with one covariance within all commands: a
    share of the world's, corrected by what the examples show (two-covariance model, Brummer and de Villiers 2010)."""
    scale = float(np.sqrt(support.white.shape[1]))  # unit vectors to unit variance
    examples, mine = support.white[owners >= 0] * scale, owners[owners >= 0]
    centres = _means(examples, mine)
    rest = examples - centres[mine]
    free = len(examples) - len(centres)
    within = (TRUST * WITHIN * np.eye(len(rest.T)) + rest.T @ rest) / (TRUST + free)
    variances, axes = np.linalg.eigh(within)
    variances = np.clip(variances, 0.05, 0.95)
    counts = np.bincount(mine)[:, None]
    # the command's own mean, known from ``counts`` examples, and what that leaves open
    gain = counts * (1 - variances) / (counts * (1 - variances) + variances)
    means, open_ = gain * (centres @ axes), variances + (1 - gain) * (1 - variances)
    constant = -0.5 * (np.log(open_) + means**2 / open_).sum(axis=1)

    def score(tried: Vectors) -> NDArray[np.float32]:
        turned = tried.white @ (axes * scale)
        squares = turned**2
        ratio = constant + turned @ (means / open_).T - 0.5 * squares @ (1 / open_).T
        return np.asarray(ratio + 0.5 * squares.sum(axis=1, keepdims=True), np.float32)

    return score


def nearest_mean(world: World, support: Vectors, owners: Owners) -> Score:
    """Negative squared distance to the mean of a command's embeddings, as prototypical networks score."""
    centres = _means(support.raw, owners)
    return lambda tried: np.asarray(-np.square(tried.raw[:, None] - centres).sum(axis=2), np.float32)


def open_ncm(world: World, support: Vectors, owners: Owners) -> Score:
    """Softmax of the negative squared distance to the prototypes of all commands and of *unknown*, on unit embeddings
    (Rusci and Tuytelaars 2023, arXiv 2306.02161)."""
    of_unknown = support.raw[owners == UNKNOWN].mean(axis=0, keepdims=True)
    centres = np.concatenate([_means(support.raw, owners), of_unknown]).astype(float)

    def score(tried: Vectors) -> NDArray[np.float32]:
        distance = -np.square(tried.raw[:, None] - centres).sum(axis=2)
        share = np.exp(distance - distance.max(axis=1, keepdims=True))
        return np.asarray((share / share.sum(axis=1, keepdims=True))[:, :-1], np.float32)

    return score


CONTROLS: dict[str, Scorer] = {
    "prototype": prototype,
    "whitened": whitened,
    "ridge": ridge,
    "gaussian": gaussian,
    "as-norm": as_norm,
    "as-norm, learned space": as_norm_learned,
}


def _means(vectors: Matrix, owners: Owners) -> Matrix:
    """The mean (commands, dimension) of each command's examples."""
    return np.stack([vectors[owners == owner].mean(axis=0) for owner in range(int(owners.max()) + 1)])
