"""The order of sounds."""

import numpy as np
import pytest

from speakerd.recognition.course import (
    BAND,
    SOUNDS,
    STEPS,
    WIDTH,
    Array,
    alike,
    arranged,
    courses,
    joined,
    middles,
    parted,
    unit,
)

RUNS = [slice(0, 3), slice(2, 20), slice(19, 20), slice(0, 40)]


def sounds(many: int, seed: int = 0) -> Array:
    """Frames of many sounds, each unlike the others."""
    return unit(np.random.default_rng(seed).normal(size=(many, SOUNDS)).astype(np.float32))


def said(order: list[float], frames: Array) -> Array:
    """The course of frames heard in an order: (1, WIDTH)."""
    heard = frames[np.round(order).astype(int)]
    return courses(heard, [slice(0, len(heard))])


def test_a_course_begins_and_ends_with_its_run() -> None:
    frames = sounds(40)
    found = courses(frames, RUNS).reshape(len(RUNS), STEPS, SOUNDS)
    for course, run in zip(found, RUNS, strict=True):
        np.testing.assert_allclose(np.linalg.norm(course, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(course[0], frames[run.start], atol=1e-5)
        np.testing.assert_allclose(course[-1], frames[run.stop - 1], atol=1e-5)


def test_runs_of_one_stream_have_the_courses_that_they_have_alone() -> None:
    frames = sounds(40)
    together = courses(frames, RUNS)
    for course, run in zip(together, RUNS, strict=True):
        alone = frames[run]
        np.testing.assert_allclose(course, courses(alone, [slice(0, len(alone))])[0], atol=1e-5)


def test_an_embedding_is_a_unit_vector_of_both() -> None:
    pooled, course = unit(sounds(5)[:, :20]), courses(sounds(40), [slice(i, i + 9) for i in range(5)])
    both = joined(pooled, course)
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
    for one, expected in zip(parted(both, 20), (pooled, course), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-5)
    alone, nothing = parted(pooled, 20)
    assert alone is pooled and nothing.shape == (5, 0), "an encoder without courses"


def test_every_step_is_compared_with_the_most_similar_nearby() -> None:
    some, others = (courses(sounds(60, seed), [slice(i, i + 20) for i in range(6)]) for seed in (1, 2))
    found = alike(some, arranged(others))
    for i, one in enumerate(some.reshape(-1, STEPS, SOUNDS)):
        for j, other in enumerate(others.reshape(-1, STEPS, SOUNDS)):
            cosines = one @ other.T
            near = [[abs(a - b) <= BAND for b in range(STEPS)] for a in range(STEPS)]
            inside = np.where(near, cosines, -np.inf)
            expected = (inside.max(axis=0).mean() + inside.max(axis=1).mean()) / 2
            assert found[i, j] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(found.T, alike(others, arranged(some)), atol=1e-5)
    np.testing.assert_allclose(np.diag(alike(some, arranged(some))), 1, atol=1e-5)


def test_pace_matters_little_and_order_much() -> None:
    frames = sounds(24)
    usual = said(list(np.linspace(0, 23, 24)), frames)
    uneven = said([*np.linspace(0, 11, 18), *np.linspace(12, 23, 12)], frames)  # drawls, then hurries
    swapped = said([*range(12, 24), *range(12)], frames)  # "off lights"
    backwards = said(list(range(23, -1, -1)), frames)
    ((same, other, reverse),) = alike(usual, arranged(np.concatenate([uneven, swapped, backwards])))
    assert same > 0.7
    assert max(other, reverse) < same - 0.2


def test_what_several_have_in_common() -> None:
    one = courses(sounds(20), [slice(0, 20)])
    np.testing.assert_allclose(middles(one), one, atol=1e-5)
    np.testing.assert_allclose(middles(np.repeat(one, 3, axis=0)), np.repeat(one, 3, axis=0), atol=1e-5)
    frames, draw = sounds(20), np.random.default_rng(3)
    noisy = [unit(frames + 0.2 * draw.normal(size=frames.shape).astype(np.float32)) for _ in range(5)]
    takes = courses(np.concatenate(noisy), [slice(20 * i, 20 * i + 20) for i in range(5)])
    found = middles(takes)
    assert found.shape == (5, WIDTH)
    assert alike(found, arranged(one)).min() > alike(takes, arranged(one)).max(), "nearer to it than any of them"
