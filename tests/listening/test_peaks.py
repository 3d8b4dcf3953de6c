"""Which hops become events, on margins that are known."""

from dataclasses import replace

import numpy as np
import pytest

from speakerd.listening.peaks import APART, WAIT, Candidate, Peaks
from speakerd.store.knowledge import Command, Heads

NO_HEADS = Heads(np.zeros((1, 2), np.float32), np.zeros(1, np.float32))
LIGHTS, OFF, NIGHTS = (
    Command(name, None, 0.5, 0.01, 0.1, False, NO_HEADS, (None,)) for name in ("lights", "lights off", "nights")
)
ALL, NOTHING, FIT = (LIGHTS, OFF, NIGHTS), np.zeros(3, np.float32), np.ones(3, bool)
NEAR = 0.2
HOP = 0.08


def hops(*margins: float, at: float = 1.0, command: Command = LIGHTS, long: float = 0.5) -> list[Candidate]:
    ends = [at + HOP * i for i in range(len(margins))]
    waits = command is LIGHTS
    return [
        Candidate(ALL, ALL.index(command), None, margin + 0.5, end - long, end, waits, NOTHING, NOTHING, FIT)
        for end, margin in zip(ends, margins, strict=True)
    ]


@pytest.fixture
def peaks() -> Peaks:
    return Peaks(NEAR, lambda peak: peak)


def told(peaks: Peaks, *several: list[Candidate]) -> list[tuple[str, float]]:
    """Names of what was accepted, and when its window ended."""
    found = [one for hops in several for hop in hops for one in peaks.push(hop)]
    return [(one.command.name, round(one.end, 2)) for one in [*found, *peaks.close()] if one.margin >= 0]


def test_one_hump_is_one_event_at_its_highest(peaks: Peaks) -> None:
    assert told(peaks, hops(-1, 0.1, 0.3, 0.2, 0.1, 0.15, 0.1, -1, command=OFF)) == [("lights off", 1.16)]


@pytest.mark.parametrize(
    ("once", "again", "heard"), [(-0.1, 0.3, 1), (0.1, 0.3, 1), (0.1, -0.1, 0), (-0.3, 0.3, 0), (-0.1, -0.05, 0)]
)
def test_what_comes_close_is_heard_once_more_which_decides(once: float, again: float, heard: int) -> None:
    asked: list[Candidate] = []

    def listen(peak: Candidate) -> Candidate:
        asked.append(peak)
        return replace(peak, score=again + 0.5)

    found = told(Peaks(NEAR, listen), hops(-1, once, -1, -1, command=OFF))
    assert found == [("lights off", 1.08)] * heard
    assert len(asked) == (once > -NEAR)


def test_event_is_told_one_hop_after_the_peak(peaks: Peaks) -> None:
    found = [peaks.push(hop) for hop in hops(-1, 0.3, 0.2, command=OFF)]
    assert [len(one) for one in found] == [0, 0, 1]


def test_same_again_and_another_may_follow_at_once(peaks: Peaks) -> None:
    first, again = hops(-1, 0.3, -1, -1, -1, command=OFF), hops(-1, 0.3, -1, at=1.48, command=OFF)
    assert told(peaks, first, again) == [("lights off", 1.08), ("lights off", 1.56)]


def test_what_overlaps_an_event_is_the_same_utterance(peaks: Peaks) -> None:
    assert told(peaks, hops(-1, 0.3, -1, -1, 0.4, -1, command=OFF)) == [("lights off", 1.08)]


def test_shorter_command_waits_for_the_longer_and_gives_way(peaks: Peaks) -> None:
    both = hops(-1, 0.3, -1, -1), hops(0.1, 0.4, -1, at=1.32, command=OFF, long=0.9)
    assert told(peaks, *both) == [("lights off", 1.4)]


def test_only_the_longer_one_takes_the_place_of_what_waits(peaks: Peaks) -> None:
    """ "nights", which at the last hop is a little over its threshold, is no longer "lights"."""
    waiting, other = hops(-1, 0.5, 0.1), hops(0.02, at=1.24, command=NIGHTS)
    assert told(peaks, waiting, other) == [("lights", 1.08)]


def test_shorter_command_waits_no_longer_than_that(peaks: Peaks) -> None:
    found = [(hop.end, peaks.push(hop)) for hop in hops(-1, 0.3, *[-1] * 10)]
    ((when, (one,)),) = [(end, several) for end, several in found if several and several[0].margin >= 0]
    assert one.end == pytest.approx(1.08)
    assert WAIT < when - one.end <= WAIT + HOP + 1e-6


def test_gate_that_closes_ends_the_waiting(peaks: Peaks) -> None:
    assert told(peaks, hops(-1, 0.3)) == [("lights", 1.08)]


def test_of_what_is_turned_away_the_best_is_told_once_in_a_while(peaks: Peaks) -> None:
    margins = [-0.5 if i % 4 else -0.2 - 0.01 * (i // 4) for i in range(50)]
    found = [one for hop in hops(*margins, command=OFF) for one in peaks.push(hop)] + peaks.close()
    assert all(one.margin < 0 for one in found)
    assert 2 <= len(found) <= 50 * HOP / APART + 1
    assert max(one.margin for one in found) == pytest.approx(-0.2)


def test_when_nobody_speaks_any_more_it_need_not_fall_first(peaks: Peaks) -> None:
    found = [one for hop in hops(-1, 0.1, 0.3, command=OFF) for one in peaks.push(hop)]
    assert found == []
    (one,) = peaks.over()
    assert one.end == pytest.approx(1.16)
    assert [one for hop in hops(0.4, 0.2, at=1.24, command=OFF) for one in peaks.push(hop)] + peaks.close() == []


def test_what_may_become_sure_with_the_next_hop_is_known(peaks: Peaks) -> None:
    rising = []
    for hop in hops(-1, 0.1, 0.3, 0.2, 0.1, -1, command=OFF):
        peaks.push(hop)
        rising.append(peaks.rising)
    assert rising == [False, True, True, False, False, False]
