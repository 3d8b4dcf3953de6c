"""Reading recordings, and keeping apart what the encoder must never have heard."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import AudioFileError
from speakerd.errors import SpeakerdError
from speakerd.training import data
from speakerd.training.data import Corpora, is_held_out, read_corpora
from speakerd.training.scenes import compose
from tests.training.tones import word_of, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    write(path, words=60)
    return path


@pytest.fixture(scope="module")
def found(folder: Path) -> Corpora:
    return read_corpora(folder)


def test_everything_is_read(found: Corpora) -> None:
    assert len(found.words) + len(found.held_words) == 120
    assert len(found.speech) + len(found.held_speech) == 12
    assert len(found.noise) == 12
    for clip in found.words + found.held_words:
        assert (clip.corpus, clip.speaker[0]) == ("tones", "v")
        assert clip.samples.dtype == np.int16
        assert word_of(clip.samples / 32768) == int(clip.word[1:]) % 8


def test_what_is_held_out_is_never_trained_on(folder: Path, found: Corpora) -> None:
    learned, held = ({clip.word for clip in clips} for clips in (found.words, found.held_words))
    assert learned.isdisjoint(held)
    assert len(learned | held) == 60
    assert 2 <= len(held) <= 12  # one in ten
    assert all(is_held_out(f"tones/{word}", 10) for word in held), "by its name, so for every run alike"
    assert not any(is_held_out(f"tones/{word}", 10) for word in learned)
    again = read_corpora(folder)
    assert [clip.word for clip in again.held_words] == [clip.word for clip in found.held_words]
    often, seldom = found.classes()
    assert {word for _, word in {**often, **seldom}} == learned
    speech = [sample.tobytes() for sample in found.speech]
    assert found.held_speech
    assert not any(sample.tobytes() in speech for sample in found.held_speech)


def test_of_each_source_of_talk_as_much_is_overheard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "OVERHEARD", 30.0)
    write(tmp_path, words=4)
    for name, seconds in (("one-reader", 20), ("television", 3)):
        folder = tmp_path / "speech/train" / name
        folder.mkdir(parents=True)
        for i in range(4):
            noise = np.random.default_rng(i).normal(0, 0.01, seconds * SAMPLE_RATE)
            soundfile.write(folder / f"{name}-{i}.flac", noise, SAMPLE_RATE)
    found = read_corpora(tmp_path, ["somewhere"])
    lasting = [len(pcm) // SAMPLE_RATE for pcm in found.overheard]
    assert lasting == [20, 20, 3, 3, 3, 3]  # until half a minute is reached
    assert {id(pcm) for pcm in found.held_speech} <= {id(pcm) for pcm in found.overheard}


def test_a_corpus_or_a_source_of_speech_can_be_left_out(folder: Path, found: Corpora) -> None:
    assert len(read_corpora(folder, ["somewhere"]).speech) == 0
    assert len(read_corpora(folder, ["somewhere"]).words) == len(found.words)
    with pytest.raises(FileNotFoundError):
        read_corpora(folder, ["tones"])
    with pytest.raises(SpeakerdError, match="there is no tomes to leave out, but tones, "):
        read_corpora(folder, ["tomes"])


def test_scenes_hold_only_what_is_not_held_out(found: Corpora) -> None:
    tones = {int(clip.word[1:]) % 8 for clip in found.words}
    few = Corpora(words=[clip for clip in found.words if int(clip.word[1:]) % 8 != 3], held_words=found.held_words)
    scenes = compose(few, seed=3)
    assert {word_of(clip / 32768) for clip in scenes.clips} == tones - {3}


def test_words_said_once_or_twice_are_numbered_apart(found: Corpora) -> None:
    twice = sorted({clip.word for clip in found.words})[:2]
    some = Corpora(words=[*found.words, *[clip for clip in found.words if clip.word in twice]])
    often, seldom = some.classes()
    assert often.keys() == {("tones", word) for word in twice}
    assert sorted(often.values()) == [0, 1]
    assert sorted(seldom.values()) == list(range(len(seldom)))
    assert often.keys().isdisjoint(seldom)


def test_a_folder_without_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no recordings like .*_nohash_0\.wav"):
        read_corpora(tmp_path)


def test_a_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    write(tmp_path, words=2)
    stray = tmp_path / "words/train/tones/w1/notes.txt"
    stray.write_text("not a recording")
    background = tmp_path / "words/train/tones/_background_noise_"
    background.mkdir()
    (background / "README.md").write_text("passed over")
    with pytest.raises(AudioFileError, match=r"w1/notes\.txt: not audio"):
        read_corpora(tmp_path)
    stray.unlink()
    assert len(read_corpora(tmp_path).words) + len(read_corpora(tmp_path).held_words) == 4
