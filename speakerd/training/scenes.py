"""Scenes: six seconds of several words and pieces of sentences, one after another, as a room would hear them.

Training on scenes rather than single clips puts every word into running speech, so that what precedes or follows it
stops mattering, and wastes no time on padding. One composition lays every clip of the corpora into a scene once, by
itself or as a phrase of two or three words of one speaker, so that order counts, and among them a part of what was
synthesised. It depends only on its seed, so the teacher's view of it is computed once and kept.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.training.data import Corpora, Pcm

SCENE = 6 * SAMPLE_RATE


@dataclass(frozen=True)
class Composition:
    """``pcm`` (scenes, 96000) int16; ``spans`` (words, 6) int32: scene, start and end in samples (of the word itself,
    without the 150 ms that clips carry around it), class often said, class seldom said (-1 where not), teacher row."""

    pcm: NDArray[np.int16]
    spans: NDArray[np.int32]
    clips: list[Pcm]


MARGIN = 2400  # clips carry 150 ms around the word
PHRASES = 0.2  # so many clips begin a phrase
SYNTHETIC = 12000  # recordings of those in one composition, at most
LONGEST = 3 * SAMPLE_RATE


@dataclass(frozen=True)
class Said:
    """Something to lay into a scene: samples, and which word it is: often said, seldom said (-1 where not)."""

    samples: NDArray[np.float32]
    often: int = -1
    seldom: int = -1


def _everything(corpora: Corpora, draw: np.random.Generator, without: frozenset[str]) -> Iterator[Said]:
    """All that one composition holds, in its order."""
    often, seldom = corpora.classes()
    of_speaker: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, clip in enumerate(corpora.words):
        of_speaker[clip.corpus, clip.speaker].append(index)
    words = len(corpora.words)
    made = draw.permutation(len(corpora.synthetic))[: 0 if "synthetic" in without else SYNTHETIC]
    phrases = 0 if "phrases" in without else PHRASES
    for index in draw.permutation(words + len(made)):
        if index >= words:
            yield Said(_levelled(_perturbed(corpora.synthetic[made[index - words]], draw, wide=True), draw))
            continue
        clip = corpora.words[index]
        name = (clip.corpus, clip.word)
        if draw.random() < phrases:
            count = int(draw.integers(1, 3))
            others = [corpora.words[i].samples for i in draw.choice(of_speaker[clip.corpus, clip.speaker], count)]
            yield Said(_levelled(_perturbed(_joined([clip.samples, *others], draw), draw, wide=True), draw)[:LONGEST])
        else:
            samples = _levelled(_perturbed(clip.samples, draw, wide=name in seldom), draw)
            yield Said(samples, often.get(name, -1), seldom.get(name, -1))


def _joined(words: list[Pcm], draw: np.random.Generator) -> Pcm:
    """Words said as one phrase: most of the margin between them goes."""
    parts = [words[0]]
    for word in words[1:]:
        kept = int(draw.integers(0, MARGIN))
        cut = (2 * MARGIN - kept) // 2
        if min(len(parts[-1]), len(word)) > 4 * MARGIN:
            parts[-1], word = parts[-1][:-cut], word[cut:]
        parts.append(word)
    return np.concatenate(parts)


def compose(
    corpora: Corpora, seed: int, limit: int | None = None, without: frozenset[str] = frozenset()
) -> Composition:
    """Lay out one composition. ``limit`` bounds the number of scenes (for tests); it may go ``without`` phrases of
    words or what is synthetic, to tell what these are good for."""
    draw = np.random.default_rng(seed)
    talk = [draw.permutation(len(corpora.speech)).tolist()] if corpora.speech else [[]]
    scenes: list[Pcm] = []
    spans: list[tuple[int, int, int, int, int, int]] = []
    clips: list[Pcm] = []
    scene, at = _quiet(draw), int(draw.integers(0, 12000))
    for said in _everything(corpora, draw, without):
        samples = said.samples[: SCENE - 1]
        if at + len(samples) > SCENE:
            _fill(scene, at, corpora, talk[0], draw)
            scenes.append(_pcm(scene))
            if limit is not None and len(scenes) >= limit:
                break
            scene, at = _quiet(draw), int(draw.integers(0, 12000))
            if draw.random() < 0.3 and talk[0]:  # running speech before the first word
                at = _fill(scene, 0, corpora, talk[0], draw, int(draw.integers(8000, 32000)))
            if at + len(samples) > SCENE:
                at = 0
        scene[at : at + len(samples)] += samples
        margin = min(MARGIN, len(samples) // 4)
        spans.append(
            (
                len(scenes),
                at + margin,
                at + len(samples) - margin,
                said.often,
                said.seldom,
                len(clips),
            )
        )
        clips.append(_pcm(samples))
        # half follow closely (clips carry a margin that may overlap), half after a pause
        at += len(samples) + int(draw.integers(-2400, 0) if draw.random() < 0.5 else draw.integers(0, 11000))
    complete = [span for span in spans if span[0] < len(scenes)]
    return Composition(np.stack(scenes), np.array(complete, np.int32), clips[: len(complete)])


def babble(corpora: Corpora, seconds: int, seed: int) -> list[Pcm]:
    """Rooms full of people, as noise: four voices at once, and now and then a single one in front."""
    draw = np.random.default_rng(seed)
    voices = np.zeros((4, seconds * SAMPLE_RATE), np.float32)
    for voice in voices:
        at = 0
        while at < len(voice) and corpora.speech:
            samples = _levelled(corpora.speech[int(draw.integers(len(corpora.speech)))].astype(np.float32), draw)
            voice[at : at + len(samples)] = samples[: len(voice) - at]
            at += len(samples)
    return [_pcm(voices.sum(axis=0) * np.float32(0.5)), _pcm(voices[0])[: seconds * SAMPLE_RATE // 3]]


def _pcm(samples: NDArray[np.float32]) -> Pcm:
    return np.asarray(np.clip(samples * 32767, -32767, 32767), np.int16)


def _perturbed(pcm: Pcm, draw: np.random.Generator, wide: bool) -> NDArray[np.float32]:
    """Another speed and pitch: a little for everybody, more for words that only one or two voices say."""
    factor = float(np.exp(draw.uniform(-0.18, 0.18) if wide else draw.uniform(-0.08, 0.08)))
    return np.asarray(
        soxr.resample(pcm.astype(np.float32) / 32768, SAMPLE_RATE, SAMPLE_RATE * factor, quality="QQ"), np.float32
    )


def _levelled(samples: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.float32]:
    """Bring the loud part to -24 dBFS give or take 5 dB."""
    blocks = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    loud = float(np.sqrt(np.quantile(np.square(blocks).mean(axis=1), 0.85))) if len(blocks) else 0.0
    return samples * np.float32(10 ** (draw.normal(-24, 5) / 20) / max(loud, 1e-4))


def _quiet(draw: np.random.Generator) -> NDArray[np.float32]:
    """A scene with nothing in it: the microphone's own noise, or digital silence."""
    level = 0.0 if draw.random() < 0.2 else 10 ** (draw.uniform(-85, -55) / 20)
    return (draw.standard_normal(SCENE) * level).astype(np.float32)


def _fill(
    scene: NDArray[np.float32],
    at: int,
    corpora: Corpora,
    talk: list[int],
    draw: np.random.Generator,
    length: int = SCENE,
) -> int:
    """Lay a piece of running speech from ``at`` on; returns where it ends."""
    if not talk or at >= len(scene) - 1600:
        return at
    speech = corpora.speech[talk[int(draw.integers(len(talk)))]]
    room = min(length, len(scene) - at, len(speech))
    start = int(draw.integers(0, len(speech) - room + 1))
    piece = speech[start : start + room].astype(np.float32) / np.float32(32768)
    scene[at : at + room] += _levelled(piece, draw)
    return at + room
