import numpy as np
import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import decibels
from speakerd.config.settings import Gate
from speakerd.demo.truth import lessons
from speakerd.events import Samples, Utterance
from speakerd.learning.takes import Take, judge, judge_recording, too_long
from tests.recordings import clips, room, said

CLIPS = [read_audio(path) for paths in lessons().values() for path in paths]


def judged(samples: Samples) -> Take:
    return judge_recording("a.wav", np.asarray(samples, np.float32), Gate())


def refusal(samples: Samples) -> str:
    take = judged(samples)
    assert not take.accepted
    assert take.utterance is None
    assert take.reason
    return take.reason


def speech_in(clip: Samples) -> Samples:
    found = judged(clip).utterance
    assert found is not None
    return found.samples[found.begin : found.end]


def utterance(seconds: float) -> Utterance:
    samples = np.resize(speech_in(CLIPS[0]), round((seconds + 0.4) * SAMPLE_RATE))
    samples[:3200] = samples[-3200:] = 0
    return Utterance(samples, 3200, len(samples) - 3200, 1.0, 2.0)


# -- refused


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(0.1, False), (0.18, False), (0.2, True), (4.0, True), (4.02, False)]
)
def test_length_that_a_command_can_have(seconds: float, accepted: bool) -> None:
    take = judge("microphone", utterance(seconds), Gate())
    assert take.accepted is accepted
    assert take.source == "microphone"
    if not accepted:
        assert f"{seconds:.1f}" in str(take.reason)
        assert ("too short" if seconds < 1 else "too long") in str(take.reason)


@pytest.mark.parametrize("seconds", [0, 0.1, 2])
@pytest.mark.parametrize("level", [-200, -60])
def test_silence_and_the_noise_of_a_room_are_no_speech(seconds: float, level: float) -> None:
    assert f"no speech found in {seconds:.1f} s" in refusal(room(seconds, level=level))


def pink(seconds: float) -> Samples:
    spectrum = np.fft.rfft(room(seconds, level=0))
    frequencies = np.maximum(np.fft.rfftfreq(round(seconds * SAMPLE_RATE), 1 / SAMPLE_RATE), 20)
    noise = np.fft.irfft(spectrum / np.sqrt(frequencies))
    return np.asarray(noise / noise.std(), np.float32)


def tones(seconds: float, *frequencies: float) -> Samples:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.asarray(sum(np.sin(2 * np.pi * f * n * times) / n for f in frequencies for n in range(1, 8)), np.float32)


def swelling(samples: Samples) -> Samples:
    return np.asarray(samples * (1 + 0.5 * np.sin(np.arange(len(samples)) / 1000)), np.float32)


EVEN: dict[str, Samples] = {
    "white noise": room(2, level=0),
    "pink noise": pink(2),
    "a fan": swelling(pink(2)),
    "mains hum": tones(2, 50, 100),
    "a tone": tones(2, 440),
    "a chord": tones(2, 220, 277, 330),
    "a hiss": np.diff(room(1.5, level=0), prepend=0).astype(np.float32),
}


@pytest.mark.parametrize("sound", EVEN)
@pytest.mark.parametrize("level", [-20, -30])
@pytest.mark.parametrize("around", [0.0, 0.7])
def test_loud_sounds_that_are_no_speech_are_refused(sound: str, level: float, around: float) -> None:
    loud = EVEN[sound] * 10 ** (level / 20) / np.sqrt(np.mean(EVEN[sound] ** 2))
    assert refusal(
        said(around, loud, around)
    )  # some are too short for a word by the time the gate has got used to them


@pytest.mark.parametrize("clip", CLIPS)
def test_words_in_noise_are_still_speech(clip: Samples) -> None:
    before = SAMPLE_RATE
    whole = said(1, clip, 1)
    for noise in (room(30, level=0)[: len(whole)], pink(30)[: len(whole)]):
        heard = judged(whole + noise * 10 ** ((decibels(speech_in(clip)) - 5) / 20)).utterance
        assert heard is not None
        assert before < heard.start * SAMPLE_RATE < before + len(clip)


def test_syllable_cut_short_is_refused() -> None:
    syllable = CLIPS[0][int(np.argmax(np.abs(CLIPS[0]))) :][: round(0.14 * SAMPLE_RATE)]
    assert "too short: 0.1" in refusal(said(1, syllable, 1))


def test_talk_without_a_pause_is_refused() -> None:
    begin = int(0.55 * SAMPLE_RATE)
    talk = np.concatenate([CLIPS[0][begin : begin + SAMPLE_RATE // 2]] * 11)
    assert "too long: 5." in refusal(said(1, talk, 1))


def test_recording_of_more_than_ten_seconds_is_refused_whatever_is_in_it() -> None:
    assert judged(said(CLIPS[0], 10 - len(CLIPS[0]) / SAMPLE_RATE)).accepted
    assert refusal(said(CLIPS[0], 9)).startswith("11 s long; an example holds one utterance")
    assert too_long(np.zeros(600 * SAMPLE_RATE, np.float32)) == refusal(np.zeros(600 * SAMPLE_RATE, np.float32))
    assert too_long(np.zeros(10 * SAMPLE_RATE, np.float32)) is None


# -- accepted, with or without a doubt


@pytest.mark.parametrize("clip", CLIPS)
def test_good_recordings_raise_no_doubt(clip: Samples) -> None:
    take = judged(clip)
    assert take.accepted
    assert take.reason is None
    assert take.source == "a.wav"


def test_recordings_of_people_are_accepted() -> None:
    takes = [judged(said(0.5, clip, 0.5)) for word in ("hadouken", "goodnight", "dracarys") for clip in clips(word, 10)]
    assert sum(take.accepted for take in takes) >= 29


@pytest.mark.parametrize("beyond", [1.5, 10])
def test_overdriven_recording_is_accepted_with_a_doubt(beyond: float) -> None:
    take = judged(np.clip(beyond * CLIPS[0] / np.abs(CLIPS[0]).max(), -1, 1))
    assert take.accepted
    assert "clipped" in str(take.reason)
    assert judged(0.98 * CLIPS[0] / np.abs(CLIPS[0]).max()).reason is None  # loud, but whole


@pytest.mark.parametrize("clip", CLIPS[::3])
def test_quiet_recording_is_accepted_with_a_doubt(clip: Samples) -> None:
    take = judged(clip * 10 ** ((-53 - decibels(speech_in(clip))) / 20))
    assert take.accepted
    assert "very quiet (-5" in str(take.reason)


@pytest.mark.parametrize("clip", CLIPS[::3])
def test_noisy_recording_is_accepted_with_a_doubt(clip: Samples) -> None:
    noise = room(2 + len(clip) / SAMPLE_RATE, level=decibels(speech_in(clip)) - 7)
    in_noise = noise + said(2, clip)[: len(noise)]
    spoken = judged(clip).utterance
    assert spoken is not None
    begin, end = (round((2 + t) * SAMPLE_RATE) for t in (spoken.start, spoken.end_time))
    take = judge("a.wav", Utterance(in_noise, begin, end, 2.5, 4.0), Gate())
    assert take.accepted
    assert "noisy: speech is only" in str(take.reason)


def test_the_loudest_utterance_of_a_recording_is_the_take() -> None:
    found = judged(said(0.5, 0.1 * CLIPS[3], 0.5, CLIPS[0], 0.5)).utterance
    alone = judged(said(0.5, CLIPS[0], 0.5)).utterance
    assert found is not None
    assert alone is not None
    assert found.seconds == pytest.approx(alone.seconds, abs=0.05)
    assert found.start > len(CLIPS[3]) / SAMPLE_RATE
