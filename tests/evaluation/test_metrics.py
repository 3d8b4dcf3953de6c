"""The figures by hand, and against counting."""

import numpy as np
import pytest

from speakerd.evaluation.metrics import Interval, accuracy_at, accuracy_with_own, auroc, interval, threshold_at

NEGATIVES = np.array([0.1, 0.5, 0.3, 0.9, 0.2, 0.7, 0.4, 0.6, 0.8, 0.0], np.float32)


def accepted(negatives: np.ndarray, threshold: float) -> int:
    return int((negatives >= threshold).sum())


@pytest.mark.parametrize(("rate", "most"), [(0.0, 0), (0.05, 0), (0.1, 1), (0.25, 2), (0.5, 5), (0.99, 9), (1.0, 10)])
def test_a_threshold_for_a_rate(rate: float, most: int) -> None:
    threshold = threshold_at(NEGATIVES, rate)
    assert accepted(NEGATIVES, threshold) == most
    if most < 10:  # lower, it would let one more in
        assert accepted(NEGATIVES, float(np.nextafter(np.float32(threshold), np.float32(-1)))) == most + 1


def test_equal_negatives_are_let_in_together_or_not_at_all() -> None:
    negatives = np.array([0.9, 0.5, 0.5, 0.5, 0.1], np.float32)
    for rate, most in ((0.2, 1), (0.4, 1), (0.6, 1), (0.8, 4)):
        assert accepted(negatives, threshold_at(negatives, rate)) == most


@pytest.mark.parametrize("seed", range(20))
def test_against_counting(seed: int) -> None:
    draw = np.random.default_rng(seed)
    size = draw.integers(1, 60, 2)
    # on a coarse grid, so that there are ties
    positives, negatives = (draw.integers(0, 30, many).astype(np.float32) / 30 for many in size)
    right = draw.random(size[0]) < 0.7
    rate = float(draw.choice([0.0, 0.01, 0.05, 0.1, 0.5]))
    allowed = int(rate * size[1] + 1e-9)
    lowest = min(t for t in [*negatives, *positives, 2.0] if accepted(negatives, t) <= allowed)
    expected = np.mean([score >= lowest and good for score, good in zip(positives, right, strict=True)])
    assert accuracy_at(positives, right, negatives, rate) == pytest.approx(float(expected))
    wins = [float(p > n) + 0.5 * float(p == n) for p in positives for n in negatives]
    assert auroc(positives, negatives) == pytest.approx(np.mean(wins))


def test_a_query_must_be_accepted_and_named_right() -> None:
    scores = np.array([0.95, 0.95, 0.85, 0.05], np.float32)
    right = np.array([True, False, True, True])
    assert accuracy_at(scores, right, NEGATIVES, 0.1) == 0.5  # 0.9 is let in, so from just above 0.8
    assert accuracy_at(scores, right, NEGATIVES, 0.0) == 0.25


@pytest.mark.parametrize("seed", range(20))
def test_a_threshold_for_each_command_against_counting(seed: int) -> None:
    draw = np.random.default_rng(seed)
    commands = int(draw.integers(1, 4))
    (scores, named), (negatives, taken_for) = (
        (draw.integers(0, 20, many).astype(np.float32), draw.integers(0, commands, many))
        for many in draw.integers(1, 60, 2)
    )
    right = draw.random(len(scores)) < 0.7
    rate = float(draw.choice([0.0, 0.05, 0.1, 0.5]))
    allowed = int(rate * len(negatives) / commands + 1e-9)
    good = 0
    for score, command, truth in zip(scores, named, right, strict=True):
        as_good = sum(n >= score for n, c in zip(negatives, taken_for, strict=True) if c == command)
        good += bool(truth) and as_good <= allowed
    found = accuracy_with_own(scores, named, right, negatives, taken_for, commands, rate)
    assert found == pytest.approx(good / len(scores))


def test_what_is_rejected_is_not_heard_by_a_command_that_nothing_is_taken_for() -> None:
    right, negatives, of_two = np.ones(2, bool), np.array([0.1, 0.2, 0.3]), np.ones(3, np.intp)
    scores = np.array([-np.inf, 0.9], np.float32)
    assert accuracy_with_own(scores, np.array([0, 1]), right, negatives, of_two, 2, 0.01) == 0.5


def test_one_command_has_the_threshold_of_all() -> None:
    draw = np.random.default_rng(0)
    scores, negatives = draw.normal(1, 1, 50), draw.normal(0, 1, 200)
    one, right = np.zeros(200, np.intp), np.ones(50, bool)
    own = accuracy_with_own(scores, one[:50], right, negatives, one, 1, 0.05)
    assert 0 < own == accuracy_at(scores, right, negatives, 0.05) < 1


def test_rates_in_use_lose_nothing_to_rounding() -> None:
    for many in range(100, 3000, 100):
        negatives = np.arange(many, dtype=np.float64)
        for percent in (1, 5):
            assert accepted(negatives, threshold_at(negatives, percent / 100)) == many * percent // 100


def test_perfect_useless_and_reversed() -> None:
    low, high = np.array([0.1, 0.2]), np.array([0.8, 0.9])
    assert auroc(high, low) == 1
    assert auroc(low, high) == 0
    assert auroc(low, low) == 0.5


def test_an_interval_over_draws() -> None:
    values = np.random.default_rng(1).normal(0.7, 0.1, 50).tolist()
    found = interval(values)
    assert found.mean == pytest.approx(np.mean(values))
    half = 1.96 * np.std(values) / np.sqrt(50)
    assert found.low == pytest.approx(found.mean - half, abs=0.2 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.2 * half)
    assert interval(values) == found, "the same every time"
    assert interval([0.5] * 5) == Interval(0.5, 0.5, 0.5)
    assert str(Interval(0.71249, 0.65, 0.8)) == "0.712 [0.650, 0.800]"
