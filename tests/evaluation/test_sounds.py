"""Who said what, and that clips and speech are heard as `score` and the spotter hear them."""

from pathlib import Path

import numpy as np
import soundfile

from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import LONGEST, SHORTEST, find_utterance, frames_of, utterances
from speakerd.demo.truth import STREAM
from speakerd.evaluation.conditions import CLEAN, Noise
from speakerd.evaluation.material import Ear, Material
from speakerd.evaluation.sounds import Piece, Sounds, hear, is_corpus, speech_in, words_in
from speakerd.house import Mind
from speakerd.learning.enlarge import enlarge
from tests.evaluation.material import folder_of, quietly
from tests.recordings import room
from tests.running import CLIPS, LAMP, clip


def test_speakers_are_told_by_their_names(tmp_path: Path) -> None:
    found = words_in(folder_of(tmp_path, ["on/a_nohash_0.wav", "on/a_nohash_1.wav", "on/b_nohash_0.wav", "off/c.flac"]))
    assert found.words.tolist() == ["off", "on", "on", "on"]
    assert found.speakers.tolist()[1:] == ["a", "a", "b"]
    assert set(found.corpora) == {tmp_path.name}


def test_where_one_name_stands_for_everybody_each_clip_is_somebody(tmp_path: Path) -> None:
    found = words_in(folder_of(tmp_path, [f"on/unknown_nohash_{i}.wav" for i in range(3)] + ["off/a_nohash_0.wav"]))
    assert len(set(found.speakers[found.words == "on"])) == 3


def test_noise_and_papers_are_no_words(data: Path) -> None:
    found = words_in(data)
    assert set(found.words) == set(CLIPS) and len(found) == 36
    assert is_corpus(data) and not is_corpus(data / LAMP)


def test_pieces_of_speech_are_the_spotters(mind: Mind, speech: Path) -> None:
    sounds = speech_in(speech, quietly)
    cut = [u for u in utterances(frames_of(read_audio(STREAM))) if SHORTEST <= u.seconds <= LONGEST]
    (heard,) = hear(mind.encoder, sounds, quietly).values()
    np.testing.assert_allclose(heard.vectors[:, 0], [mind.encoder.embed(u) for u in cut], atol=1e-5)
    assert not heard.vectors[:, 1:].any(), "nobody teaches a command by talking"
    assert heard.cut.all()
    recording = read_audio(STREAM)
    for piece, utterance in zip(sounds.pieces, cut, strict=True):
        part = recording[piece.begin : piece.end]
        np.testing.assert_array_equal(part, utterance.samples[: len(part)])


def test_a_clip_without_speech_is_heard_whole_and_marked(mind: Mind, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16000)
    soundfile.write(tmp_path / "good.wav", clip(next(iter(CLIPS))), 16000)
    soundfile.write(tmp_path / "hum.wav", room(1.0), 16000)
    nobody = np.array(["", "", ""])
    names = ("silent.wav", "good.wav", "hum.wav")
    sounds = Sounds(tuple(Piece(tmp_path / name) for name in names), nobody, nobody, nobody)
    (heard,) = hear(mind.encoder, sounds, quietly).values()
    assert heard.cut.tolist() == [False, True, False]
    np.testing.assert_allclose(np.linalg.norm(heard.vectors[:, 0], axis=1), 1, atol=1e-4)


def test_words_are_enlarged_as_examples_are(mind: Mind, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", room(5.0), 16000)
    words = words_in(folder_of(tmp_path / "words", ["on/a_nohash_0.wav", "on/b_nohash_0.wav"]))
    noise = Noise([tmp_path / "noise.wav"], seed=0)
    quiet, noisy = hear(mind.encoder, words, quietly, (CLEAN, 10.0), noise, taught=(CLEAN,)).values()
    for i, piece in enumerate(words.pieces):
        utterance = find_utterance(read_audio(piece.path))
        assert utterance is not None
        expected = [mind.encoder.embed(each) for each in (utterance, *enlarge(utterance))]
        np.testing.assert_allclose(quiet.vectors[i], expected, atol=1e-5)
        assert not noisy.vectors[i, 1:].any(), "in noise it is tried, and nothing is taught"


def test_every_clip_of_ours_is_heard(ear: Ear, material: Material) -> None:
    assert ear.usable.all() and len(ear.usable) == len(material.sounds) == 36 + len(material.outside)
