"""Each control against a slower way to the same thing, in a small world."""

import numpy as np
import pytest

from speakerd.config import Listening
from speakerd.evaluation import controls
from speakerd.evaluation.controls import CONTROLS, UNKNOWN
from speakerd.evaluation.product import taught
from speakerd.evaluation.space import Vectors, fully_white, nearest, unwhitened
from speakerd.learning.calibration import TALK_HOURS, own_scores, promise
from speakerd.recognition.course import unit
from speakerd.recognition.head import Matrix, scores
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import Resting, World, coarse, fine
from tests.recognition.worlds import DIMENSION, around, vectors, world

SHOTS, COMMANDS = 4, 3
OWNERS = np.repeat([0, 1, 2, UNKNOWN], SHOTS)


@pytest.fixture(scope="module")
def small() -> World:
    """A world that is stretched and off centre."""
    draw = np.random.default_rng(5)
    stretch = np.diag(draw.uniform(0.5, 3, DIMENSION)) @ np.linalg.qr(draw.normal(size=(DIMENSION, DIMENSION)))[0]
    bare = world(mean=(0.2 * vectors(1, 9)[0]), matrix=stretch.astype(np.float32))
    cohort, impostors = (bare.place(vectors(many, seed)) for many, seed in ((300, 1), (500, 2)))
    return world(mean=bare.mean, matrix=bare.matrix, cohort=cohort, impostors=Resting.of(coarse(impostors)))


def heard(raw: Matrix) -> Matrix:
    """Embeddings (n, dimension) with three variants each."""
    return np.stack([raw, *(unit(raw + 0.3 * vectors(len(raw), seed)) for seed in (71, 72, 73))], axis=1)


@pytest.fixture(scope="module")
def support(small: World) -> Vectors:
    raw = np.concatenate([around(vectors(1, 20 + i), SHOTS, 0.5, 30 + i) for i in range(COMMANDS)] + [vectors(4, 40)])
    return Vectors.of(small, heard(raw), np.ones(len(raw), bool), np.ones(len(raw)))


@pytest.fixture(scope="module")
def tried(small: World) -> Vectors:
    return Vectors.of(small, heard(vectors(50, 50)), np.ones(50, bool), np.ones(50))


def test_the_encoders_vectors_come_back(small: World) -> None:
    raw = vectors(100, 3)
    np.testing.assert_allclose(unwhitened(small, small.place(raw)), raw, atol=1e-4)


def test_full_whitening_leaves_nothing_to_whiten(small: World) -> None:
    raw = unwhitened(small, np.concatenate([small.cohort, fine(small.impostors.vectors)]))
    covariance = np.cov(fully_white(small, raw).T)
    np.testing.assert_allclose(covariance, np.eye(DIMENSION) / DIMENSION, atol=0.02)


def test_slices_are_what_was_worked_out(small: World, tried: Vectors) -> None:
    some = tried[np.array([4, 2])]
    afresh = Vectors.of(small, heard(vectors(50, 50))[[4, 2]], tried.cut[[4, 2]], tried.seconds[[4, 2]])
    for part in ("raw", "white", "full", "cohort", "near", "full_near", "strange", "taught", "cut"):
        np.testing.assert_allclose(getattr(some, part), getattr(afresh, part), atol=1e-5)
    ours = Vectors.impostors(small)
    np.testing.assert_allclose(small.place(ours.raw), unit(ours.white), atol=1e-4)
    np.testing.assert_allclose(ours.near, nearest(ours.white, small.cohort), atol=1e-5)
    assert len(ours[np.arange(5)]) == len(ours[np.arange(5)].taught) == 5


def test_columns_are_what_the_product_knows_of_an_utterance(small: World, tried: Vectors) -> None:
    raw = heard(vectors(50, 50))
    np.testing.assert_allclose(tried.white, small.place(raw[:, 0]), atol=1e-6)
    np.testing.assert_allclose(tried.taught, [small.place(each) for each in raw], atol=1e-6)
    np.testing.assert_allclose(tried.strange, small.strangers(tried.white), atol=1e-6)
    for i in (0, 49):
        cosines = np.sort(small.cohort @ tried.white[i])[-100:]
        assert tried.near[i] == pytest.approx((cosines.mean(), cosines.std()), abs=1e-5)


def test_product_learns_every_command_by_itself_and_from_its_variants(
    small: World, support: Vectors, tried: Vectors
) -> None:
    budget = Listening(false_accepts_per_day=3.0)
    product = taught(small, support, OWNERS, budget, lambda _: np.ones(1, bool))
    found = product(tried)
    for c in range(COMMANDS):
        examples = [small.place(each) for each in heard(support.raw)[c == OWNERS]]
        heads, _ = learned(small, examples, [None] * SHOTS)
        expected = scores(heads, tried.white, small.strangers(tried.white)).max(axis=1)
        np.testing.assert_allclose(found[:, c], expected, atol=1e-5)
        own = own_scores(small, examples, [None] * SHOTS)
        kept = promise(small, heads, own, SHOTS, np.ones(1, bool), 3.0 / TALK_HOURS / COMMANDS, budget.highest_frr)
        assert product.thresholds[c] == pytest.approx(kept.threshold, abs=1e-5)


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


@pytest.mark.parametrize("learned_space", [False, True])
def test_as_norm(small: World, support: Vectors, tried: Vectors, learned_space: bool) -> None:
    control = controls.as_norm_learned if learned_space else controls.as_norm
    taught, asked, cohort = (
        (support.white, tried.white, small.cohort) if learned_space else (support.full, tried.full, tried.cohort)
    )
    found = control(small, support, OWNERS)(tried)
    for c in range(COMMANDS):
        centre = unit(taught[c == OWNERS].mean(axis=0))
        for i in (0, 7):
            cosine, sides = float(asked[i] @ centre), []
            for vector in (asked[i], centre):
                nearest = np.sort(cohort @ vector)[-100:]
                sides.append((cosine - nearest.mean()) / nearest.std())
            assert found[i, c] == pytest.approx(np.mean(sides), abs=1e-3)


def test_ridge_is_where_the_loss_is_least(small: World, support: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "RIDGE", 0.01)
    axes = np.concatenate([np.eye(DIMENSION), np.zeros((1, DIMENSION))]).astype(np.float32)
    nothing = np.zeros(len(axes), np.float32)
    strange = np.stack([nothing, nothing], axis=1)
    along = Vectors(axes, axes, axes, axes, axes, strange, strange, strange, axes[:, None], nothing > 0, nothing)
    found = controls.ridge(small, support, OWNERS)(along).astype(float)  # the weights themselves, and the bias
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
