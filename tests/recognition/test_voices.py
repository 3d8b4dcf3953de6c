"""Voices of made-up places, where one knows who is near whom."""

import numpy as np
import pytest

from speakerd.recognition.voices import SURE, Voices


def around(place: list[float], many: int, seed: int) -> np.ndarray:
    """Unit vectors near a place."""
    vectors = np.array(place) + np.random.default_rng(seed).normal(0, 0.02, (many, 3))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


ADA, BOB = [1.0, 0.2, 0.0], [0.2, 1.0, 0.0]


@pytest.fixture
def voices() -> Voices:
    found = Voices.of(np.concatenate([around(ADA, 3, 0), around(BOB, 3, 1)]), ["Ada"] * 3 + ["Bob"] * 3)
    assert found is not None
    return found


def test_whoever_is_near_is_named_and_who_is_between_or_elsewhere_is_not(voices: Voices) -> None:
    assert {voices.who(vector) for vector in around(ADA, 20, 2)} == {"Ada"}
    assert {voices.who(vector) for vector in around(BOB, 20, 3)} == {"Bob"}
    assert {voices.who(vector) for vector in around([1.0, 1.0, 0.0], 20, 4)} == {None}
    assert {voices.who(vector) for vector in around([0.2, 0.1, 1.0], 20, 5)} == {None}


def test_sure_is_the_lead_and_the_likeness_together(voices: Voices) -> None:
    (place,), (sure,) = voices.nearest(around(ADA, 1, 6))
    near = around(ADA, 1, 6)[0] @ voices.centres.T
    assert voices.names[place] == "Ada"
    assert sure == pytest.approx(near[place] - near[1 - place] + near[place] - voices.usual, abs=1e-6)
    assert sure > SURE


def test_examples_without_a_name_are_somebody_elses() -> None:
    voices = Voices.of(np.concatenate([around(ADA, 3, 0), around(BOB, 3, 1)]), ["Ada"] * 3 + [None] * 3)
    assert voices is not None
    assert (voices.who(around(ADA, 1, 2)[0]), voices.who(around(BOB, 1, 2)[0])) == ("Ada", None)


def test_one_person_alone_and_single_examples_tell_nothing() -> None:
    assert Voices.of(around(ADA, 3, 0), ["Ada"] * 3) is None
    assert Voices.of(around(ADA, 2, 0), ["Ada", "Bob"]) is None
