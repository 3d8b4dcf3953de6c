"""Rhasspy Raven 0.5.2: dynamic time warping over MFCC, along a window that slides over what is heard.

Templates are trimmed as its ``--record`` does; a clip scores the highest probability that any template has anywhere in
it (``--minimum-matches 1``, the default). The warping is its own, but compiled by numba: the original takes a
millisecond of Python for each of some millions of windows. MFCC are computed over the whole clip, not in blocks as they
arrive, and its silence gate is left out: both can only help it. One threshold serves all templates.
"""

import io
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numba  # type: ignore[import-not-found]
import numpy as np
import python_speech_features  # type: ignore[import-not-found]
from numpy.typing import NDArray
from rhasspywake_raven import Raven, Template  # type: ignore[import-not-found]
from rhasspywake_raven.utils import buffer_to_wav, trim_silence  # type: ignore[import-not-found]

from baselines.trials import RATE, Clip, Scores, System, serve

Mfcc = NDArray[np.float64]
BAND, REPLACEMENT = 5, 2.0  # its dtw_window_size and dtw_step_pattern


@dataclass(frozen=True)
class Keyword:
    raven: Raven
    templates: list[Mfcc]


class RhasspyRaven(System[Keyword, Mfcc]):
    def learn(self, clips: Sequence[Clip]) -> Keyword:
        templates = [self._template(clip) for clip in clips]
        return Keyword(Raven(templates), [_unit(template.mfcc) for template in templates])

    def hear(self, clip: Clip) -> Mfcc:
        return _unit(python_speech_features.mfcc(clip.samples, RATE, winstep=Raven.DEFAULT_SHIFT_SECONDS))

    def score(self, word: Keyword, heard: Sequence[Mfcc]) -> Scores:
        wide = word.raven.shifts_per_template
        nearest = [min(nearest_window(template, mfcc, wide) for template in word.templates) for mfcc in heard]
        return np.array([word.raven.distance_to_probability(distance) for distance in nearest])

    def _template(self, clip: Clip) -> Template:
        trimmed = trim_silence(clip.samples.tobytes())
        return Raven.wav_to_template(io.BytesIO(buffer_to_wav(trimmed)))


def _unit(mfcc: Mfcc) -> Mfcc:
    """For the cosine distance that the warping sums up."""
    return np.asarray(mfcc / np.linalg.norm(mfcc, axis=1, keepdims=True))


def nearest_window(template: Mfcc, mfcc: Mfcc, wide: int) -> float:
    """The least normalised distance of the template to ``wide`` frames of a clip, or to all of a shorter one."""
    return float(_nearest(1 - template @ mfcc.T, min(wide, mfcc.shape[0])))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _nearest(costs: Mfcc, wide: int) -> float:
    """``DynamicTimeWarping._compute_optimal_path_with_window`` on each window of ``costs`` (template, clip)."""
    long = costs.shape[0]
    band = max(BAND, abs(wide - long))
    least = math.inf
    for at in range(costs.shape[1] - wide + 1):
        sums = np.full((long + 1, wide + 1), math.inf)
        sums[0, 0] = 0
        for row in range(1, long + 1):
            for column in range(max(1, row - band), min(wide, row + band) + 1):
                cost = costs[row - 1, at + column - 1]
                sums[row, column] = min(
                    REPLACEMENT * cost + sums[row - 1, column - 1],
                    cost + sums[row - 1, column],
                    cost + sums[row, column - 1],
                )
        least = min(least, sums[long, wide])
    return float(least / (wide + long))


def check_against_the_original() -> None:
    """Stop if the compiled warping is not the original's."""
    random = np.random.default_rng(0)
    for long, wide in ((20, 20), (35, 24), (24, 35)):
        template, window = random.normal(size=(long, 13)), random.normal(size=(wide, 13))
        theirs = Raven([Template(1.0, template)]).dtw.compute_cost(template, window, BAND, step_pattern=REPLACEMENT)
        ours = nearest_window(_unit(template), _unit(window), wide)
        if not math.isclose(ours, theirs / (long + wide), rel_tol=1e-9):
            sys.exit(f"the compiled warping gives {ours}, Raven's own {theirs / (long + wide)}")


if __name__ == "__main__":
    check_against_the_original()
    serve(RhasspyRaven(), Path(sys.argv[1]), Path(sys.argv[2]))
