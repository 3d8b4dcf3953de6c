"""What there is to embed in a recording: the same for what the head learns from and for what ships in world.npz."""

from collections.abc import Iterator

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import LONGEST, SHORTEST, find_utterance, frames_of, utterances
from speakerd.events import Samples, Utterance
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix
from speakerd.training.data import Pcm, samples_of


def utterance_in(samples: Samples) -> Utterance | None:
    """The utterance of a recording, where it lasts as long as a command may."""
    found = find_utterance(samples)
    return found if found is not None and SHORTEST <= found.seconds <= LONGEST else None


def paused(pcm: Pcm) -> Samples:
    """A recording with a pause around it."""
    return np.pad(samples_of(pcm), SAMPLE_RATE // 2)


def between_pauses(samples: Samples) -> Iterator[Utterance]:
    """Of talk, what lasts as long as a command may."""
    return (found for found in utterances(frames_of(samples)) if SHORTEST <= found.seconds <= LONGEST)


def talk_of(encoder: Encoder, pcm: Pcm, draw: np.random.Generator) -> Iterator[Matrix]:
    """Embeddings of what lies between pauses, and of pieces of sentences as long as words and short phrases."""
    samples = samples_of(pcm)
    for utterance in between_pauses(samples):
        yield encoder.embed(utterance)
    at = 0
    while at + 2 * SAMPLE_RATE < len(samples):
        length = int(draw.uniform(0.4, 1.6) * SAMPLE_RATE)
        begin = min(at, 4800)
        piece = samples[at - begin : at + length + 3200]
        yield encoder.embed(Utterance(piece, begin, begin + length, 0.0, 0.0))
        at += length + int(draw.uniform(0.2, 0.8) * SAMPLE_RATE)
