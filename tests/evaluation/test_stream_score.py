"""The meter's rules on detections whose times are known."""

import numpy as np
import pytest

from speakerd.evaluation.metrics import Interval
from speakerd.evaluation.stream_score import Fire, Heard, Meter, count, poisson_at_most
from speakerd.evaluation.streams import Said

LAMP, MUSIC = Said(10.0, 11.0, "lamp"), Said(20.0, 21.0, "music", "in speech")


def fire(time: float, command: str = "lamp", margin: float = 1.0) -> Fire:
    return Fire(time, command, margin - 2, -2.0)


def heard(*fires: Fire, said: tuple[Said, ...] = (LAMP, MUSIC), hours: float = 1.0, talk: float = 1.0) -> Heard:
    thresholds = {20.0: {"lamp": -2.0, "music": -2.0}, 5.0: {"lamp": 0.0, "music": 0.0}}
    return Heard("kitchen", hours * 3600, talk * 3600, said, fires, thresholds)


@pytest.mark.parametrize("time", [10.0, 10.5, 11.0, 11.5])
def test_hit_is_from_the_beginning_until_half_a_second_after_the_end(time: float) -> None:
    found = count([LAMP], [fire(time)])
    assert found.false == (0, 0, 0)
    assert found.latency == pytest.approx([time - 11.0])


@pytest.mark.parametrize("time", [9.99, 11.51])
def test_before_and_after_it_is_a_false_accept_and_a_miss(time: float) -> None:
    found = count([LAMP], [fire(time)])
    assert found.false == (1, 0, 0)
    assert np.isnan(found.latency).all()


def test_second_detection_is_a_double_and_another_command_is_confused() -> None:
    assert count([LAMP], [fire(10.8), fire(11.2)]).false == (0, 0, 1)
    confused = count([LAMP], [fire(10.8, "music"), fire(11.2)])
    assert confused.false == (0, 1, 0)
    assert confused.latency == pytest.approx([0.2]), "the right one still counts"


def test_false_accepts_within_two_seconds_are_one_and_hits_among_them_count() -> None:
    fires = [fire(5), fire(6.9), fire(7.1), fire(9.0, "music"), fire(10.5)]
    found = count([LAMP], fires)
    assert found.false == (2, 0, 0), "5 and 7.1; what is not counted does not prolong the two seconds"
    assert found.latency == pytest.approx([-0.5])


def test_same_command_said_twice_at_once_is_hit_twice() -> None:
    twice = [Said(10, 11, "lamp"), Said(11.2, 12.2, "lamp")]
    assert count(twice, [fire(11.1), fire(12.3)]).latency == pytest.approx([0.1, 0.1])
    assert count(twice, [fire(11.1), fire(11.3)]).latency == pytest.approx([0.1, -0.9]), "each within its own time"


def test_figures_at_the_thresholds_and_at_rates() -> None:
    first = heard(fire(10.9), fire(21.1, "music", -0.5), fire(100, margin=-0.2), fire(200, margin=-0.8))
    second = heard(fire(11.2, margin=0.3), fire(21.4, "music", 0.2), fire(300, margin=0.1), fire(11.4, "music", -0.7))
    product, tenth, half, one = Meter([first, second]).points()
    assert (product.target, product.shift) == (None, 0.0)
    assert product.fa_per_hour.mean == 0.5
    assert product.false == {"talk": 1, "confused": 0, "double": 0}
    assert product.frr.mean == 0.25
    assert (product.frr_alone, product.frr_in_speech) == (0.0, 0.5)
    assert product.latency is not None
    assert product.latency.mean == pytest.approx(0.2)
    assert (tenth.target, tenth.fa_per_hour.mean, tenth.frr.mean) == (0.1, 0.0, 0.25)
    assert tenth.shift == pytest.approx(0.2), "the loosest with no false accept in two hours"
    assert (half.fa_per_hour.mean, half.shift) == (0.5, 0.0)
    assert (one.fa_per_hour.mean, one.frr.mean, one.shift) == (1.0, 0.0, pytest.approx(-0.5))
    assert one.frr.low == 0.0 <= one.frr.high
    assert tenth.at_most == pytest.approx(3.0 / 2, abs=0.01), "nothing in two hours: 3 / T"
    assert not tenth.proven


def test_promises_are_told_where_ten_events_are_expected() -> None:
    streams = [heard(fire(100.0 * i), fire(200.0 * i, margin=3), fire(10.5), talk=0.4) for i in (3, 4, 5, 6)]
    (kept,) = Meter(streams).kept()
    assert (kept.budget, kept.expected) == (20.0, pytest.approx(32.0)), "5 an hour would be 8 in 1.6 hours of talk"
    assert kept.observed == Interval(8.0, 8.0, 8.0), "a hit is none of them"
    strict, _ = Meter([*streams, heard(talk=0.5)]).kept()
    assert strict.budget == 5.0
    assert strict.observed.mean == 4.0, "at the thresholds of that budget only the surer four"
    assert strict.observed.low < 4.0


def test_poisson() -> None:
    assert poisson_at_most(0) == pytest.approx(2.996, abs=1e-3)
    assert poisson_at_most(3) == pytest.approx(7.754, abs=1e-3)
    assert poisson_at_most(200) == pytest.approx(225.0, abs=1.0)
