import time
from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest

from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import frames_of
from speakerd.config import Config
from speakerd.demo.truth import STREAM, lessons
from speakerd.events import Detection, Samples
from speakerd.house import Mind
from speakerd.learning.takes import judge_recording
from speakerd.listening.spotter import Spotter
from speakerd.recognition.scoring import Matcher
from speakerd.store.knowledge import Command, Knowledge
from tests.listening.taught import CLIPS, LAMP, MUSIC
from tests.recordings import clips, room, said, speech


def heard(spotter: Spotter, samples: Samples) -> list[Detection]:
    return [*(one for frame in frames_of(samples) for one in spotter.push(frame)), *spotter.flush()]


def accepted(spotter: Spotter, samples: Samples) -> list[Detection]:
    return [one for one in heard(spotter, samples) if one.accepted]


@pytest.fixture
def spotter(mind: Mind, taught: Knowledge) -> Spotter:
    return Spotter(mind.encoder, mind.world, Config().gate, taught)


def test_detection_says_what_was_heard_when(spotter: Spotter, taught: Knowledge) -> None:
    began = time.time()
    lamp, music = accepted(spotter, said(2, CLIPS[LAMP][0], 1, CLIPS[MUSIC][0], 1))
    assert (lamp.command, lamp.action) == (LAMP, "lamp")
    assert (music.command, music.action) == (MUSIC, None)
    assert lamp.start == pytest.approx(2.5, abs=0.2)  # windows have few lengths
    length = len(CLIPS[LAMP][0]) / 16000
    assert 2 + length - 0.7 < lamp.time < 2 + length + 0.3  # the clip has quiet around the word
    assert music.start > lamp.time
    for found in (lamp, music):
        command = taught.find(found.command)
        assert command is not None
        assert found.threshold == command.threshold
        assert found.accepted is (found.score >= found.threshold)
        assert began <= found.at <= time.time()
    assert lamp.id != music.id


def test_stream_and_recording_of_the_same_sound_score_alike(spotter: Spotter, mind: Mind, taught: Knowledge) -> None:
    matcher, paths = Matcher(mind.world, taught.commands), [path for paths in lessons().values() for path in paths]
    found = heard(spotter, said(1, *(piece for path in paths for piece in (read_audio(path), 0.5))))
    assert len(found) == len(paths)
    for path, one in zip(paths, found, strict=True):
        utterance = judge_recording(path.name, read_audio(path), Config().gate).utterance
        assert utterance is not None
        alone = matcher.match(mind.encoder.embed(utterance))
        assert alone is not None
        assert one.score == pytest.approx(alone.score, abs=0.5)  # of 5; cut at other hops


def test_nothing_is_detected_while_nothing_is_known(mind: Mind) -> None:
    spotter = Spotter(mind.encoder, mind.world, Config().gate, Knowledge(0, mind.encoder.id))
    assert heard(spotter, said(1, CLIPS[LAMP][0], 1)) == []
    assert spotter.segmenter.level < -50


def test_nothing_in_silence_and_in_what_is_too_short_for_a_command(spotter: Spotter) -> None:
    middle = CLIPS[LAMP][0][9000:17000]
    assert heard(spotter, room(10)) == []
    assert accepted(spotter, said(1, middle[:2240], 1)) == []


def test_command_is_found_in_running_speech(spotter: Spotter) -> None:
    before, after = speech(3.0), speech(6.0)[48000:]
    lamp = CLIPS[LAMP][0][7000:21000]  # without the quiet around it
    (found,) = accepted(spotter, said(1, before, lamp, after, 1))
    assert found.command == LAMP
    assert found.start == pytest.approx(4.0, abs=0.3)
    assert found.time < 4.0 + len(lamp) / 16000 + 0.4, "the gate is open for three more seconds"


def test_two_commands_without_a_pause_are_two(spotter: Spotter) -> None:
    lamp, music = CLIPS[LAMP][0][7000:21000], CLIPS[MUSIC][0][6000:]
    assert [one.command for one in accepted(spotter, said(1, lamp, music, 1))] == [LAMP, MUSIC]


def test_end_of_the_stream_ends_what_is_being_said(spotter: Spotter) -> None:
    spoken = said(1, CLIPS[LAMP][0][:20000])
    assert [one for frame in frames_of(spoken) for one in spotter.push(frame)] == []
    (found,) = spotter.flush()
    assert found.time == pytest.approx(len(spoken) / 16000, abs=0.02)
    assert spotter.flush() == []


def test_other_knowledge_counts_from_the_next_frame_on(spotter: Spotter, taught: Knowledge) -> None:
    lamp = Knowledge(2, taught.encoder, tuple(c for c in taught.commands if c.name == LAMP))
    frames = list(frames_of(said(1, CLIPS[MUSIC][0], 1)))
    half = 50 + 40  # in the middle of the word
    for frame in frames[:half]:
        spotter.push(frame)
    assert spotter.segmenter.open
    spotter.know(lamp)
    assert {one.command for frame in frames[half:] for one in spotter.push(frame)} == {LAMP}, "the only one known"
    spotter.know(Knowledge(3, taught.encoder))
    assert heard(spotter, said(1, CLIPS[MUSIC][0], 1)) == []
    spotter.know(taught)
    assert [one.command for one in accepted(spotter, said(1, CLIPS[MUSIC][0], 1))] == [MUSIC]


def test_it_is_the_command_that_scores_most_and_not_the_one_with_the_lowest_threshold(
    mind: Mind, taught: Knowledge
) -> None:
    low = tuple(replace(c, threshold=-9.0) if c.name == LAMP else c for c in taught.commands)
    spotter = Spotter(mind.encoder, mind.world, Config().gate, Knowledge(2, taught.encoder, low))
    found = accepted(spotter, said(1, CLIPS[MUSIC][0], 1))
    assert MUSIC in [one.command for one in found]
    for one in found:
        assert one.evidence is not None
        assert one.score == one.evidence.scores.max()


def test_every_word_of_people_is_compared_once_and_in_order(spotter: Spotter) -> None:
    words = clips("hadouken", 6) + clips("goodnight", 6)
    found = heard(spotter, said(1, *(piece for word in words for piece in (word, 1)), 1))
    assert len(found) == pytest.approx(len(words), abs=1)  # one of them may have a pause in it
    assert all(one.time < other.start for one, other in pairwise(found))


def test_a_hundred_commands_cost_little_more_than_five(mind: Mind, taught: Knowledge) -> None:
    """1.2 times as much is promised; what else the machine does makes one measurement differ from the next by more than
    that, so that pairs are compared, and the middle one of them may be somewhat above."""

    def other(i: int) -> Command:
        """Of another name, and length: 0.6 to 1.8 times as long."""
        command = taught.commands[i % len(taught.commands)]
        lasting = 0.6 * 3 ** (i * 0.618 % 1)
        return replace(command, name=f"{command.name} {i}", seconds=tuple(lasting * one for one in command.seconds))

    def cost(many: int) -> float:
        known = Knowledge(taught.version, taught.encoder, tuple(map(other, range(many))))
        spotter = Spotter(mind.encoder, mind.world, Config().gate, known)
        began = time.thread_time()
        for frame in talk:
            spotter.push(frame)
        return time.thread_time() - began

    talk = list(frames_of(read_audio(STREAM)))[:500]
    assert median(cost(100) / cost(5) for _ in range(9)) < 1.4
