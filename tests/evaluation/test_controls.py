"""Each control against a slower way to the same thing, in a small world."""

import numpy as np
import pytest

from speakerd.evaluation import controls
from speakerd.evaluation.controls import CONTROLS, UNKNOWN
from speakerd.evaluation.space import Vectors, fully_white, spread, unwhitened
from speakerd.recognition.world import World, unit
from tests.recognition.worlds import DIMENSION, around, vectors, world

SHOTS, COMMANDS = 4, 3
OWNERS = np.repeat([0, 1, 2, UNKNOWN], SHOTS)


@pytest.fixture(scope="module")
def small() -> World:
    """A world that is stretched and off centre."""
    draw = np.random.default_rng(5)
    stretch = np.diag(draw.uniform(0.5, 3, DIMENSION)) @ np.linalg.qr(draw.normal(size=(DIMENSION, DIMENSION)))[0]
    bare = world(mean=(0.2 * vectors(1, 9)[0]), whitening=stretch.astype(np.float32))
    cohort, impostors = (bare.whiten(vectors(many, seed)) for many, seed in ((300, 1), (500, 2)))
    return world(mean=bare.mean, whitening=bare.whitening, cohort=cohort, impostors=impostors)


@pytest.fixture(scope="module")
def support(small: World) -> Vectors:
    raw = np.concatenate([around(vectors(1, 20 + i), SHOTS, 0.5, 30 + i) for i in range(COMMANDS)] + [vectors(4, 40)])
    return Vectors.of(small, raw, np.ones(len(raw), bool))


@pytest.fixture(scope="module")
def tried(small: World) -> Vectors:
    return Vectors.of(small, vectors(50, 50), np.ones(50, bool))


def test_the_encoders_vectors_come_back(small: World) -> None:
    raw = vectors(100, 3)
    np.testing.assert_allclose(unwhitened(small, small.whiten(raw)), raw, atol=1e-4)


def test_full_whitening_leaves_nothing_to_whiten(small: World) -> None:
    raw = unwhitened(small, np.concatenate([small.cohort, small.impostors]))
    covariance = np.cov(fully_white(small, raw).T)
    np.testing.assert_allclose(covariance, np.eye(DIMENSION) / DIMENSION, atol=0.02)


def test_slices_are_what_was_worked_out(small: World, tried: Vectors) -> None:
    some = tried[np.array([4, 2])]
    afresh = Vectors.of(small, tried.raw[[4, 2]], tried.cut[[4, 2]])
    for part in ("raw", "white", "full", "near", "spread", "cut"):
        np.testing.assert_allclose(getattr(some, part), getattr(afresh, part), atol=1e-5)
    ours = Vectors.impostors(small)
    np.testing.assert_allclose(small.whiten(ours.raw), ours.white, atol=1e-4)
    np.testing.assert_allclose(ours.spread, spread(small, ours.white), atol=1e-5)


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_knows_what_it_was_taught(name: str, small: World, support: Vectors) -> None:
    found = CONTROLS[name](small, support, OWNERS)(support[OWNERS >= 0])
    assert found.shape == (COMMANDS * SHOTS, COMMANDS)
    assert (found.argmax(axis=1) == OWNERS[OWNERS >= 0]).all()
    alone = CONTROLS[name](small, support[OWNERS >= 0], OWNERS[OWNERS >= 0])(support)
    np.testing.assert_allclose(alone[OWNERS >= 0], found, atol=1e-5, err_msg="unknown words change nothing")


def test_prototypes(small: World, support: Vectors, tried: Vectors) -> None:
    for name, part in (("prototype", "raw"), ("whitened", "full")):
        taught, asked = getattr(support, part), getattr(tried, part)
        expected = [[float(q @ unit(taught[c == OWNERS].mean(axis=0))) for c in range(COMMANDS)] for q in asked]
        np.testing.assert_allclose(CONTROLS[name](small, support, OWNERS)(tried), expected, atol=1e-5)


def test_as_norm(small: World, support: Vectors, tried: Vectors) -> None:
    found = controls.as_norm(small, support, OWNERS)(tried)
    for c in range(COMMANDS):
        centre = unit(support.white[c == OWNERS].mean(axis=0))
        for i in (0, 7):
            cosine, sides = float(tried.white[i] @ centre), []
            for vector in (tried.white[i], centre):
                nearest = np.sort(small.cohort @ vector)[-100:]
                sides.append((cosine - nearest.mean()) / nearest.std())
            assert found[i, c] == pytest.approx(np.mean(sides), abs=1e-3)


def test_ridge_is_where_the_loss_is_least(small: World, support: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "RIDGE", 0.01)
    axes = np.concatenate([np.eye(DIMENSION), np.zeros((1, DIMENSION))]).astype(np.float32)
    nothing = np.zeros(len(axes), np.float32)
    heard = Vectors(axes, axes, axes, nothing, nothing, nothing > 0)
    found = controls.ridge(small, support, OWNERS)(heard).astype(float)  # the weights themselves, and the bias
    bias, weights = found[-1, 0], found[:-1, 0] - found[-1, 0]

    def loss(weights: np.ndarray, bias: float) -> float:
        examples = support.white[OWNERS >= 0] @ weights + bias
        mine = np.mean((examples[:SHOTS] - 1) ** 2) + sum(
            np.mean(examples[c * SHOTS : (c + 1) * SHOTS] ** 2) for c in (1, 2)
        )
        strangers = np.mean((small.cohort @ weights + bias) ** 2)
        return float(mine + strangers + 0.01 / (DIMENSION + 1) * (weights @ weights + bias**2))

    least = loss(weights, bias)
    for step in np.random.default_rng(0).normal(size=(20, DIMENSION + 1)) * 0.05:
        assert loss(weights + step[:-1], bias + step[-1]) > least


def test_gaussian_is_the_ratio_of_joint_likelihoods(
    small: World, support: Vectors, tried: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controls, "TRUST", 1e9)  # the covariance within commands is the given share
    found = controls.gaussian(small, support, OWNERS)(tried[:5])

    def likelihood(points: np.ndarray) -> float:
        """Of points of one class: its mean is drawn from the world, the points about it."""
        many = len(points)
        covariance = (1 - controls.WITHIN) * np.ones((many, many)) + controls.WITHIN * np.eye(many)
        _, log_determinant = np.linalg.slogdet(covariance)
        return float(-0.5 * (DIMENSION * log_determinant + np.sum(points * np.linalg.solve(covariance, points))))

    for c in range(COMMANDS):
        taught = support.white[c == OWNERS] * np.sqrt(DIMENSION)
        for i in range(5):
            point = tried.white[i : i + 1] * np.sqrt(DIMENSION)
            together = likelihood(np.concatenate([taught, point]))
            assert found[i, c] == pytest.approx(together - likelihood(taught) - likelihood(point), abs=1e-3)


def test_papers_rules(small: World, support: Vectors, tried: Vectors) -> None:
    centres = np.stack([support.raw[owner == OWNERS].mean(axis=0) for owner in (0, 1, 2, UNKNOWN)])
    distance = np.array([[np.sum((q - c) ** 2) for c in centres] for q in tried.raw])
    np.testing.assert_allclose(controls.nearest_mean(small, support, OWNERS)(tried), -distance[:, :-1], atol=1e-5)
    shares = np.exp(-distance) / np.exp(-distance).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(controls.open_ncm(small, support, OWNERS)(tried), shares[:, :-1], atol=1e-5)
