"""sounds.npz: the directions of trunk frames that tell sounds apart and not voices, for the course of an utterance.

The same word of different people is laid side by side, and what then still differs is voices, rooms and carelessness
(the covariance within). Linear discriminant analysis (Fisher 1936) finds where all that is ever said varies most
against it. Both are of recordings that the encoder was not trained on, where it is as sure of itself as it will be in a
home.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speakerd.recognition.course import SOUNDS, places, steps_of, unit
from speakerd.recognition.encoder import TrunkEncoder
from speakerd.recognition.head import Matrix
from speakerd.recognition.world import whitening_of
from speakerd.training.data import Clip, Corpora, by_word, many_say, samples_of
from speakerd.training.talk import between_pauses, paused, utterance_in

CLIPS = 240  # of a word that many people say, at most
PAIRS = 800  # of its clips, laid side by side
ONCE = 700  # words said once
SMALLEST = 1e-4  # of the largest variance, that one is taken for
SHRUNK = 0.2  # the share of the total in what is taken for the covariance within, for want of more words


def learn_sounds(encoder: TrunkEncoder, corpora: Corpora, path: Path, seed: int = 0) -> None:
    """Write the mean (width,) and the matrix (width, SOUNDS) to ``path``, a sounds.npz."""
    draw = np.random.default_rng(seed)
    words = [clips for _, clips in sorted(by_word(corpora.held_words).items())]
    often = [list(_said(encoder, clips[:CLIPS])) for clips in words if many_say(clips)]
    once = [clips[0] for clips in words if not many_say(clips)]
    usual = [frames for _, frames in _said(encoder, [once[i] for i in draw.permutation(len(once))[:ONCE]])]
    talk = [encoder.frames(one) for pcm in corpora.held_speech for one in between_pauses(samples_of(pcm))]
    everything = np.concatenate([*usual, *talk, *(one for said in often for _, one in said[:20])])
    mean, first = whitening_of(everything)
    apart = np.concatenate([part for said in often for part in _apart(said, mean, first, draw)])
    total = np.cov(everything.T)
    within = (1 - SHRUNK) * (apart.T @ apart) / (2 * len(apart)) + SHRUNK * total
    values, axes = np.linalg.eigh(within)
    axes = axes / np.sqrt(np.maximum(values, SMALLEST * values.max()))
    _, turned = np.linalg.eigh(axes.T @ total @ axes)
    np.savez(path, mean=mean.astype(np.float32), matrix=(axes @ turned[:, : -SOUNDS - 1 : -1]).astype(np.float32))


def _said(encoder: TrunkEncoder, clips: list[Clip]) -> Iterator[tuple[str, Matrix]]:
    """Who says each, and its trunk frames (frames, width)."""
    for clip in clips:
        found = utterance_in(paused(clip.samples))
        if found is not None:
            yield clip.speaker, encoder.frames(found)


def _apart(
    said: list[tuple[str, Matrix]], mean: Matrix, whitening: Matrix, draw: np.random.Generator
) -> Iterator[Matrix]:
    """How the steps (STEPS, width) of one person's word differ from those of another's that sound most like them."""
    steps = [steps_of(frames, [slice(0, len(frames))])[0] for _, frames in said]
    seen = [unit((one - mean) @ whitening) for one in steps]
    for i, j in draw.integers(len(said), size=(PAIRS, 2)):
        if said[i][0] != said[j][0]:
            yield steps[i] - steps[j][places(seen[i], seen[j])]
