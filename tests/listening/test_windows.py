"""Windows of recorded commands: found where they are, and heard as at enrolment."""

from collections.abc import Sequence

import numpy as np
import pytest

from speakerd.audio.segmenter import find_utterance, frames_of
from speakerd.config import Config
from speakerd.events import Samples
from speakerd.house import Mind
from speakerd.listening.windows import Ear, Hop, Hops
from speakerd.recognition.lengths import fitting, lengths
from tests.listening.taught import CLIPS, LAMP
from tests.recordings import room, said


def listen(mind: Mind, wanted: Sequence[int], samples: Samples) -> list[Hops]:
    ear = Ear(mind.encoder, Config().gate)
    return [*(ear.push(frame, wanted) for frame in frames_of(samples)), ear.flush(wanted)]


def hops(mind: Mind, wanted: Sequence[int], samples: Samples) -> list[Hop]:
    return [hop for heard in listen(mind, wanted, samples) for hop in heard.hops]


def test_window_over_a_word_is_heard_as_the_word_alone(mind: Mind) -> None:
    samples = said(1, CLIPS[LAMP][0], 1)
    utterance = find_utterance(samples)
    assert utterance is not None
    frames_alone = mind.encoder.frames(utterance)
    (alone,) = mind.encoder.pool(frames_alone, [slice(0, len(frames_alone))])
    fits = np.flatnonzero(fitting(mind.encoder, [utterance.seconds])).tolist()
    heard = [(frames, window) for frames, hops in listen(mind, fits, samples) for hop in hops for window in hop]
    windows = [window for _, window in heard]
    likeness = np.array([mind.encoder.pool(frames, [window.run])[0] @ alone for frames, window in heard])
    best = windows[int(likeness.argmax())]
    assert likeness.max() > 0.999, "cut in the same way"
    assert sorted(likeness)[-2] > 0.95, "and by one of the usual lengths"
    assert best.start == pytest.approx(utterance.start, abs=0.2)
    assert best.end == pytest.approx(utterance.end_time, abs=0.3)


def test_hops_follow_one_another_and_windows_end_with_them(mind: Mind) -> None:
    found = [hop for hop in hops(mind, [0, 2, 4], said(1, CLIPS[LAMP][0], 1)) if hop]
    assert np.diff([hop[0].end for hop in found]) == pytest.approx([0.08] * (len(found) - 1))
    tried = lengths(mind.encoder)
    for hop in found:
        assert len({window.end for window in hop[:3]}) == 1
        assert [window.length for window in hop[:3]] == [0, 2, 4][: len(hop)]
        assert all(window.run.stop - window.run.start == tried[window.length] for window in hop[:3])


def test_windows_reach_back_over_what_was_heard_before(mind: Mind) -> None:
    samples = said(1, CLIPS[LAMP][0], 1)
    (short, long) = [hop for hop in hops(mind, [0, 3], samples) if len(hop) == 2][-1]
    assert long.run.stop == short.run.stop
    assert long.end - long.start == pytest.approx((lengths(mind.encoder)[3] - 1) * 0.08)


def test_ear_is_shut_while_nobody_speaks_and_after_an_interruption(mind: Mind) -> None:
    ear = Ear(mind.encoder, Config().gate)
    assert [hop for frame in frames_of(room(3)) for hop in ear.push(frame, [0]).hops] == []
    assert ear.over
    for frame in frames_of(CLIPS[LAMP][0][:16000]):
        ear.push(frame, [0])
    assert not ear.over
    ear.reset()
    assert ear.over
    assert ear.flush([0]).hops == []
