"""speakerd itself: heard as ``score`` hears, taught and scored by what ``speakerd eval`` calls the product."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baselines.trials import Clip, Questions, Scores
from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import frames_of, utterances
from speakerd.config import Config
from speakerd.evaluation.product import taught
from speakerd.evaluation.sounds import Piece, Sounds, hear
from speakerd.evaluation.space import Vectors
from speakerd.house import Mind
from speakerd.recognition.lengths import fitting

REJECTED = 1e3  # less than this for a clip in which there is no utterance: it is named, but never accepted


def answers(mind: Mind, config: Config, questions: Questions) -> list[Scores]:
    """Scores (tried, commands) of each draw."""
    where = _Speech()
    pieces = tuple(where.piece(clip) for clip in questions.clips)
    nobody: NDArray[np.str_] = np.full(len(pieces), "")
    words = np.full(len(pieces), "", "<U6")
    teaching = [clip for draw in questions.draws for clips in draw.support for clip in clips]
    words[teaching] = "taught"  # only words are enlarged as examples are
    (heard,) = hear(mind.encoder, Sounds(pieces, nobody, words, nobody), lambda _: None).values()
    vectors = Vectors.of(mind.world, heard.vectors, heard.cut, heard.seconds)
    found = []
    for draw in questions.draws:
        owners = np.repeat(np.arange(len(draw.support)), [len(clips) for clips in draw.support])
        fits = partial(fitting, mind.encoder)
        known = taught(mind.world, vectors[np.concatenate(draw.support)], owners, config.listening, fits)
        tried = vectors[np.array(draw.tried)]
        found.append(known(tried).astype(float) - REJECTED * ~tried.cut[:, None])
    return found


class _Speech:
    """Where in a piece of a recording the utterance is that the segmenter cut it out for."""

    def __init__(self) -> None:
        self._of_recording: dict[str, dict[int, tuple[int, int]]] = {}

    def piece(self, clip: Clip) -> Piece:
        path = Path(clip.path)
        if clip.begin is None:
            return Piece(path)
        if clip.path not in self._of_recording:
            self._of_recording[clip.path] = {
                round(u.start * SAMPLE_RATE) - u.begin: (u.begin, u.end)
                for u in utterances(frames_of(read_audio(path)))
            }
        # a piece that somebody else cut is searched for its utterance like any recording
        return Piece(path, clip.begin, clip.end, self._of_recording[clip.path].get(clip.begin))
