"""Which directions of trunk frames are sounds."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.recognition.course import SOUNDS, alike, arranged, parted
from speakerd.recognition.encoder import BUNDLED, TrunkEncoder
from speakerd.recognition.head import Matrix
from speakerd.training.data import PEOPLE, Clip, Corpora
from speakerd.training.sounds import learn_sounds
from speakerd.training.talk import utterance_in
from tests.recordings import said_by

WORDS = ("happy", "right", "five")


def courses_of(models: Path, clips: list[Clip]) -> Matrix:
    encoder = TrunkEncoder(models)
    found = [utterance_in(np.pad(clip.samples / np.float32(32768), SAMPLE_RATE // 2)) for clip in clips]
    return np.stack([parted(encoder.embed(one), encoder.pooled)[1] for one in found if one is not None])


def told_apart(models: Path, words: list[list[Clip]]) -> float:
    """How far apart, in deviations, are the likenesses of the same word of different people and of different words."""
    courses = [courses_of(models, clips) for clips in words]
    same = np.concatenate([alike(own, arranged(own))[~np.eye(len(own), dtype=bool)] for own in courses])
    other = np.concatenate([alike(own, arranged(beside)).ravel() for own, beside in pairwise(courses)])
    return float((same.mean() - other.mean()) / np.sqrt((same.var() + other.var()) / 2))


def test_they_tell_words_apart_that_other_people_say(tmp_path: Path) -> None:
    people = [said_by("gsc", PEOPLE + 12, 1, word) for word in WORDS]
    words = [
        [Clip("gsc", word, f"{i}", np.asarray(clip * 32767, np.int16)) for i, own in enumerate(said) for clip in own]
        for word, said in zip(WORDS, people, strict=True)
    ]
    taught, asked = [clips[:PEOPLE] for clips in words], [clips[PEOPLE:] for clips in words]
    for part in ("encoder.onnx", "pool.onnx"):
        shutil.copy(BUNDLED / part, tmp_path)
    plain = TrunkEncoder(tmp_path)
    assert plain.dimension == plain.pooled, "nothing is known of sounds"

    learn_sounds(plain, Corpora(held_words=[clip for clips in taught for clip in clips]), tmp_path / "sounds.npz")
    learned = TrunkEncoder(tmp_path)
    with np.load(tmp_path / "sounds.npz") as file:
        width = len(file["mean"])
    assert learned.id != plain.id and learned.dimension == TrunkEncoder(BUNDLED).dimension
    found = told_apart(tmp_path, asked)

    by_chance = np.random.default_rng(0).normal(size=(width, SOUNDS)).astype(np.float32)
    np.savez(tmp_path / "sounds.npz", mean=np.zeros(width, np.float32), matrix=by_chance)
    assert found > 1.05 * told_apart(tmp_path, asked)
