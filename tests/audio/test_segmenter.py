"""The gate, on people's voices where there are recordings, and on bundled ones."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import (
    FRAME,
    LONGEST,
    SHORTEST,
    Segmenter,
    decibels,
    find_utterance,
    frames_of,
    utterances,
)
from speakerd.config.settings import Gate
from speakerd.demo.truth import lessons
from speakerd.events import Samples, Utterance
from tests.recordings import clips, noises, room, said, talk

BUNDLED = [path for paths in lessons().values() for path in paths]


def heard(samples: Samples, gate: Gate | None = None) -> list[Utterance]:
    return list(utterances(frames_of(samples), gate))


def commands(samples: Samples) -> list[Utterance]:
    """What of it would be compared with commands."""
    return [found for found in heard(samples) if SHORTEST <= found.seconds <= LONGEST]


def loud_part(samples: Samples) -> tuple[int, int]:
    """From where to where somebody speaks aloud, in samples."""
    levels = np.array([decibels(frame) for frame in frames_of(samples)])
    (loud,) = np.nonzero(levels > levels.max() - 25)
    return int(loud[0]) * FRAME, int(loud[-1] + 1) * FRAME


def word(path: Path = BUNDLED[0]) -> Samples:
    """What is said in a bundled clip, without the room around it."""
    samples = read_audio(path)
    begin, end = loud_part(samples)
    return samples[begin:end]


def first_of(found: Utterance) -> int:
    """Where in the stream its audio begins, in samples."""
    return round(found.start * SAMPLE_RATE) - found.begin


def hum(hertz: float, level: float, seconds: float = 15) -> Samples:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * t + k) / k for k in (1, 2, 3, 5, 7))
    return np.asarray(10 ** (level / 20) * wave / np.sqrt(np.mean(np.square(wave))), np.float32)


# -- what is no speech


@pytest.mark.parametrize("offset", [0, 0.001, 0.01, 0.1, -0.5, 1])
def test_nothing_in_digital_silence_with_any_constant_offset(offset: float) -> None:
    assert commands(np.full(15 * SAMPLE_RATE, offset, np.float32)) == []


@pytest.mark.parametrize("level", [-90, -66, -50, -45])
def test_nothing_at_all_in_quiet_white_noise(level: float) -> None:
    assert heard(room(15, level=level)) == []


@pytest.mark.parametrize("level", [-40, -35, -20, -10, 0, 20])
def test_no_command_in_loud_white_noise_also_when_it_clips(level: float) -> None:
    assert commands(np.clip(room(15, level=level), -1, 1)) == []


@pytest.mark.parametrize("hertz", [50, 60, 100, 120])
def test_no_command_in_hum(hertz: float) -> None:
    assert heard(hum(hertz, -50)) == []
    assert commands(hum(hertz, -40)) == []
    assert commands(np.clip(hum(hertz, 10), -1, 1)) == []


@pytest.mark.parametrize("noise", [room(40, level=-25), room(40, level=-15), hum(50, -20, 40), hum(120, -25, 40)])
def test_steady_noise_opens_the_gate_once_at_most_and_then_is_the_room(noise: Samples) -> None:
    found = heard(np.concatenate([room(10), noise]))
    assert len(found) <= 1
    assert all(one.start < 10.1 and one.seconds < 20 for one in found)


@pytest.mark.parametrize("milliseconds", [1, 20, 40])
def test_clicks_and_splinters_of_a_voice_do_not_open_the_gate(milliseconds: int) -> None:
    loudest = int(np.argmax(np.abs(word())))
    splinter = word()[loudest:][: milliseconds * 16]
    assert heard(said(1, *[splinter, 0.5] * 10)) == []


def wind(level: float, seconds: float = 30) -> Samples:
    """Rumble that comes and goes every three seconds, by 12 dB."""
    rumble = np.convolve(room(seconds, seed=5, level=0), np.ones(40) / 40, "same")
    gusts = 10 ** (6 * np.sin(2 * np.pi * np.arange(len(rumble)) / 3 / SAMPLE_RATE) / 20)
    return np.asarray(rumble * gusts * 10 ** (level / 20) / np.sqrt(np.mean(np.square(rumble))), np.float32)


@pytest.mark.parametrize("level", [-40, -25, -15])
def test_gusts_do_not_open_the_gate_however_loud_they_are(level: float) -> None:
    assert heard(wind(level)) == []


@pytest.mark.parametrize(
    ("kind", "share"),
    [("rain", 0.2), ("sea-waves", 0.1), ("helicopter", 0.1), ("rooster", 0.1), ("clock-tick", 0.3), ("dog-bark", 0.25)],
)
def test_weather_engines_and_animals_hardly_open_the_gate(kind: str, share: float) -> None:
    recorded = [heard(samples) for samples in noises(kind)]
    assert sum(one.seconds for found in recorded for one in found) < share * 5 * len(recorded)


def test_the_room_is_known_again_as_soon_as_a_machine_has_run_for_two_seconds() -> None:
    segmenter = Segmenter()
    for frame in frames_of(np.concatenate([room(3, level=-60), room(2, seed=1, level=-25)])):
        segmenter.push(frame)
    assert segmenter.room.level == pytest.approx(-25, abs=1)
    for frame in frames_of(room(0.2, level=-60)):
        segmenter.push(frame)
    assert segmenter.room.level == pytest.approx(-60, abs=1)


# -- speech, whole and in its place


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_times_are_right_to_two_frames(path: Path) -> None:
    samples = read_audio(path)
    begin, end = (at / SAMPLE_RATE for at in loud_part(samples))
    (found,) = heard(samples)
    assert begin - 0.3 <= found.start <= begin + 0.041  # the first sound may be a soft one
    assert end - 0.041 <= found.end_time <= end + 0.3  # so may the last, and echoes fade out
    (found,) = heard(said(1, samples[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)], 1))
    assert abs(found.start - 1) <= 0.041
    assert abs(found.end_time - (1 + end - begin)) <= 0.041


@pytest.mark.parametrize("shift", [0, 1, 100, 160, 319])
def test_the_same_word_at_another_time_is_cut_at_the_same_place(shift: int) -> None:
    (usual,) = heard(said(2, word(), 1))
    (found,) = heard(said(2 + 0.02 * 7 + shift / SAMPLE_RATE, word(), 1))
    assert abs(found.start - usual.start - (0.14 + shift / SAMPLE_RATE)) <= 0.0201
    assert abs(found.end_time - usual.end_time - (0.14 + shift / SAMPLE_RATE)) <= 0.0201


def test_audio_of_an_utterance_is_that_of_the_stream() -> None:
    stream = said(1, *(piece for path in BUNDLED for piece in (word(path), 0.7)))
    found = heard(stream)
    assert len(found) == len(BUNDLED)
    for one in found:
        assert np.array_equal(one.samples, stream[first_of(one) :][: len(one.samples)])
        assert 0 <= one.begin < one.end <= len(one.samples)


@pytest.mark.parametrize("hangover", [100, 300, 600])
def test_utterance_is_over_after_the_pause_that_is_set(hangover: int) -> None:
    (found,) = heard(said(1, word(), 2), Gate(hangover_ms=hangover))
    assert found.decided - found.end_time == pytest.approx(hangover / 1000)


def test_longer_pause_keeps_a_phrase_together() -> None:
    phrase = said(1, word(), 0.5, word(BUNDLED[3]), 2)
    assert len(heard(phrase)) == 2
    assert len(heard(phrase, Gate(hangover_ms=800))) == 1


@pytest.mark.parametrize("preroll", [100, 300, 1000])
def test_preroll_is_as_long_as_it_is_set(preroll: int) -> None:
    (found,) = heard(said(2, word(), 1), Gate(preroll_ms=preroll))
    assert preroll / 1000 <= found.begin / SAMPLE_RATE <= preroll / 1000 + 0.1


def test_soft_first_consonant_belongs_to_the_audio() -> None:
    hiss = room(0.15, seed=7, level=-58)
    (found,) = heard(said(1, hiss, word(), 1))
    assert first_of(found) <= SAMPLE_RATE
    assert found.start <= 1.15 + 0.04


@pytest.mark.parametrize(
    ("spoken", "corpus"),
    [("five", "gsc"), ("happy", "gsc"), ("zero", "gsc"), ("fenrir", "wake-phrases"), ("hadouken", "wake-phrases")],
)
def test_no_first_consonant_of_a_person_is_lost(spoken: str, corpus: str) -> None:
    for clip in clips(spoken, 20, corpus):
        levels = np.array([decibels(frame) for frame in frames_of(clip)])
        sounds = levels > max(np.percentile(levels, 20) + 8, levels.max() - 30)
        quiet = np.flatnonzero(~sounds[: int(np.argmax(levels))])
        onset = int(quiet[-1]) + 1 if len(quiet) else 0  # of the sound that leads to the loudest one
        found = heard(said(1, clip, 1))
        assert found, "not heard"
        assert first_of(found[0]) <= SAMPLE_RATE + onset * FRAME


@pytest.mark.parametrize("gap", [0.4, 0.6])
@pytest.mark.parametrize("before", [1, 8])
def test_preroll_is_whole_after_another_utterance_short_or_long(gap: float, before: int) -> None:
    stream = said(1, *[word()] * before, gap, word(BUNDLED[3]), 1)
    first, second = heard(stream)
    assert (first.seconds > LONGEST) is (before == 8)
    assert second.begin >= 0.3 * SAMPLE_RATE
    assert np.array_equal(second.samples, stream[first_of(second) :][: len(second.samples)])


@pytest.mark.parametrize("gain", [1, 0.3, 0.1])
@pytest.mark.parametrize("offset", [0, 0.02])
def test_soft_and_loud_words_are_found_also_on_a_constant_offset(gain: float, offset: float) -> None:
    stream = said(15, *(piece for path in BUNDLED for piece in (gain * word(path), 1)))
    assert len(commands(stream + np.float32(offset))) == len(BUNDLED)


def test_words_are_found_beside_a_fan_and_end_there() -> None:
    stream = said(15, *(piece for path in BUNDLED for piece in (word(path), 1)))
    stream += room(len(stream) / SAMPLE_RATE, seed=3, level=-45)
    assert len(commands(stream)) == len(BUNDLED)


# -- talk, ends, interruptions


def test_talk_longer_than_a_command_is_one_utterance_of_bounded_size() -> None:
    stream = said(1, *[word()] * 30, 2, word(BUNDLED[3]), 1)
    long, short = heard(stream)
    assert long.seconds > LONGEST
    assert len(long.samples) < (LONGEST + 1) * SAMPLE_RATE
    assert short.seconds < 1.5
    assert first_of(short) / SAMPLE_RATE <= len(stream) / SAMPLE_RATE - 1 - len(word(BUNDLED[3])) / SAMPLE_RATE


def test_sentences_of_people_are_cut_at_their_pauses() -> None:
    for sentence in talk(5):
        found = heard(said(1, sentence, 1))
        assert found
        assert found[0].start < 2
        assert sum(one.seconds for one in found) > 0.5 * len(sentence) / SAMPLE_RATE
        for one, following in pairwise(found):
            assert following.start >= one.end_time


def test_end_of_the_stream_ends_the_utterance() -> None:
    stream = said(1, word(), 0.06)
    segmenter = Segmenter()
    assert [segmenter.push(frame) for frame in frames_of(stream)] == [None] * -(-len(stream) // FRAME)
    assert segmenter.open
    found = segmenter.flush()
    assert found is not None
    assert found.start == pytest.approx(1, abs=0.041)
    assert found.decided * SAMPLE_RATE == -(-len(stream) // FRAME) * FRAME
    assert segmenter.flush() is None
    assert not segmenter.open


def test_after_an_interruption_nothing_from_before_it_is_heard() -> None:
    segmenter = Segmenter()
    before, after = said(1, word()), said(0.1, word(BUNDLED[3]), 1)
    for frame in frames_of(before):
        segmenter.push(frame)
    assert segmenter.open
    segmenter.reset()
    assert not segmenter.open
    (found,) = (one for one in map(segmenter.push, frames_of(after)) if one is not None)
    interruption = -(-len(before) // FRAME) * FRAME
    assert first_of(found) >= interruption
    assert found.start == pytest.approx(interruption / SAMPLE_RATE + 0.1, abs=0.061)
    at = first_of(found) - interruption
    assert np.array_equal(found.samples, after[at : at + len(found.samples)])


def test_recording_that_begins_in_the_middle_of_a_word_is_heard_from_its_first_sample() -> None:
    (found,) = heard(said(word()[800:], 1))
    assert first_of(found) == 0
    assert found.start <= 0.041


def test_loudest_utterance_is_the_one_of_a_recording() -> None:
    recording = said(0.5, 0.2 * word(), 0.6, word(BUNDLED[3]), 0.6, 0.2 * word(), 0.5)
    found = find_utterance(recording)
    assert found is not None
    assert found.start == pytest.approx(0.5 + len(word()) / SAMPLE_RATE + 0.6, abs=0.041)
    assert find_utterance(room(2)) is None
    assert find_utterance(np.zeros(0, np.float32)) is None


def test_last_frame_is_filled_up_with_zeros() -> None:
    cut = list(frames_of(np.ones(2 * FRAME + 5, np.float32)))
    assert [len(frame) for frame in cut] == [FRAME] * 3
    assert cut[-1].sum() == 5


def test_whistling_opens_the_gate_only_where_any_sound_may() -> None:
    pitch = 1200 + 300 * np.sin(2 * np.pi * 3 * np.arange(round(0.8 * SAMPLE_RATE)) / SAMPLE_RATE)
    whistle = (0.2 * np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)).astype(np.float32)
    assert heard(said(1, whistle, 1)) == []
    (found,) = heard(said(1, whistle, 1), Gate(voices_only=False))
    assert 0.5 < found.seconds < 1.0
