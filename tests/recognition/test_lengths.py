"""Which lengths of running speech are compared with which commands."""

import numpy as np
import pytest

from speakerd.house import Mind
from speakerd.recognition.lengths import RATIO, fitting, lengths


def test_lengths_are_steps_from_the_shortest_to_the_longest_command(mind: Mind) -> None:
    found = np.array(lengths(mind.encoder))
    assert found[0] * 0.08 <= 0.2 + 0.3
    assert found[-1] * 0.08 >= 4
    ratios = found[1:] / found[:-1]
    assert (ratios > 1).all()
    assert ratios.max() < RATIO * 1.1


@pytest.mark.parametrize("seconds", [[0.2], [0.5, 0.6, 0.55], [1.5, 2.0, 1.6], [4.0], [0.3, 3.9]])
def test_every_command_has_lengths_about_those_of_its_examples(mind: Mind, seconds: list[float]) -> None:
    fits = fitting(mind.encoder, seconds)
    tried = np.array(lengths(mind.encoder))[fits] * 0.08
    assert len(fits) == len(lengths(mind.encoder))
    assert fits.any()
    assert (np.diff(np.flatnonzero(fits)) == 1).all()
    assert tried.min() > 0.7 * min(seconds)
    assert tried.max() < 1.3 * max(seconds) + 0.4
