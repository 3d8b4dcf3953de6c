"""Streams as they are laid out and kept, of recorded words and speech."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.audio.segmenter import decibels, find_utterance
from speakerd.errors import SpeakerdError
from speakerd.evaluation.episodes import Support
from speakerd.evaluation.layouts import Surroundings, household, picovoice, tasks, teachers
from speakerd.evaluation.streams import Said, Stream, read, write
from tests.recordings import room
from tests.running import CLIPS

MINUTES = 1.5  # of a stream
SHORT = 2 * MINUTES / 60  # hours: two streams


@pytest.fixture(scope="session")
def around(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    folder = tmp_path_factory.mktemp("noise")
    soundfile.write(folder / "fan.wav", room(5.0, level=-30.0), 16000)
    return Surroundings.below([speech], [folder])


@pytest.fixture(scope="session")
def home(data: Path, around: Surroundings) -> Stream:
    (task,) = tasks(data, 2, None, Support.CROSS)
    return next(household(task, around, SHORT, 0))


def test_household_has_commands_alone_and_in_speech(home: Stream) -> None:
    assert home.seconds == MINUTES * 60
    assert {one.command for one in home.said} <= set(CLIPS) == set(home.taught)
    assert {one.where for one in home.said} == {"alone", "in speech"}
    assert len(home.said) >= 3
    assert all(0.2 < one.end - one.start < 4 for one in home.said)
    assert all(one.end < other.start for one, other in zip(home.said, home.said[1:], strict=False))
    assert 0.2 < home.talk / home.seconds < 0.95


def test_commands_are_where_the_labels_say(home: Stream) -> None:
    """What is said is louder than the pause before it, and begins and ends about there."""
    alone = [one for one in home.said if one.where == "alone"]
    gains, begins = [], []
    for one in alone:
        first, last = round(one.start * 16000), round(one.end * 16000)
        gains.append(decibels(home.samples[first:last]) - decibels(home.samples[first - 8000 : first - 3000]))
        found = find_utterance(home.samples[max(0, first - 8000) : last + 8000])
        if found is not None:
            begins.append(found.start - 0.5)
    assert np.median(gains) > 6
    assert np.median(np.abs(begins)) < 0.1


def test_who_teaches_is_not_asked(data: Path, around: Surroundings, home: Stream) -> None:
    assert all(len(clips) == 2 for clips in home.taught.values())
    assert all(len({clip.name[:3] for clip in clips}) == 2 for clips in home.taught.values()), "of two people"


def test_same_seed_same_streams(data: Path, around: Surroundings, home: Stream) -> None:
    (task,) = tasks(data, 2, None, Support.CROSS)
    again, second = household(task, around, SHORT, 0)
    assert np.array_equal(again.samples, home.samples)
    assert (again.said, again.taught) == (home.said, home.taught)
    other = next(household(task, around, SHORT, 7))
    for different in (second, other):
        assert different.said != home.said
        assert different.taught != home.taught


def test_benchmark_has_one_word_at_equal_gaps_in_noise(data: Path, around: Surroundings) -> None:
    (task,) = tasks(data, 2, None, Support.CROSS)
    streams = list(picovoice(task, around, SHORT, 0))
    assert len(streams) == 2 * len(CLIPS)
    for one in streams:
        (command,) = one.taught
        assert {said.command for said in one.said} == {command}
        gaps = [b.start - a.end for a, b in zip(one.said, one.said[1:], strict=False)]
        assert gaps == pytest.approx([gaps[0]] * len(gaps), abs=1e-3)
        assert one.talk / one.seconds < 0.5
        assert np.abs(one.samples).max() == pytest.approx(1)
    assert one.seconds == pytest.approx(MINUTES * 60, rel=0.2)


def test_kept_in_files_and_read_again(home: Stream, tmp_path: Path) -> None:
    kept = write(tmp_path, home)
    (again,) = read(tmp_path, {})
    for found in (kept, again):
        assert (found.name, found.talk, found.taught) == (home.name, home.talk, home.taught)
        assert [one[2:] for one in found.said] == [one[2:] for one in home.said]
        assert [one.start for one in found.said] == pytest.approx([one.start for one in home.said], abs=0.006)
        assert np.allclose(found.samples, home.samples, atol=1e-4)


def test_picovoices_own_files_are_read(data: Path, tmp_path: Path) -> None:
    name = next(iter(CLIPS))
    soundfile.write(tmp_path / f"{name}.wav", room(10.0), 16000)
    (tmp_path / f"{name}.txt").write_text("1.25, 3.00\n5.00, 6.50\n")
    (found,) = read(tmp_path, teachers(tasks(data, 3, None, Support.CROSS), 0))
    assert found.said == (Said(1.25, 3.0, name), Said(5.0, 6.5, name))
    assert len(found.taught[name]) == 3
    assert found.talk == found.seconds == 10.0


def test_faults_are_told(data: Path, around: Surroundings, tmp_path: Path) -> None:
    with pytest.raises(SpeakerdError, match="no streams here"):
        list(read(tmp_path, {}))
    soundfile.write(tmp_path / "x.wav", room(1.0), 16000)
    with pytest.raises(SpeakerdError, match="what is said in it cannot be read"):
        list(read(tmp_path, {}))
    (tmp_path / "x.txt").write_text("one, two\n")
    with pytest.raises(SpeakerdError, match="cannot be read"):
        list(read(tmp_path, {}))
    (tmp_path / "x.txt").write_text("0.1, 0.5\n")
    with pytest.raises(SpeakerdError, match="nobody teaches x"):
        list(read(tmp_path, {}))
    with pytest.raises(SpeakerdError, match="--speech and of --noise"):
        Surroundings.below([data], [tmp_path / "nothing"])
