"""Judging a take: is there one utterance in it, of a length a command can have, and how good is it?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.liveliness import liveliness
from speakerd.audio.segmenter import LONGEST, SHORTEST, decibels, find_utterance
from speakerd.config.settings import Gate
from speakerd.events import Samples, Utterance

LONGEST_FILE = 10.0  # seconds

# Speech is told from an even sound by how much the shape of its spectrum changes: of 4,000 words 5 dB above noise two
# have less than this, of 5,600 as recorded and of 900 made to whisper none; of noise, fans, hums and chords nearly all.
LIVELY = 0.45


Fault = Literal["too_short", "too_long", "too_quiet", "too_loud", "noise", "cut_off"]


@dataclass(frozen=True)
class Take:
    """A judged take. Refused: ``utterance`` is None, ``reason`` says why. Accepted: ``reason`` is a doubt or None.
    ``fault`` is what ``reason`` says, in one word."""

    source: str
    utterance: Utterance | None
    reason: str | None
    fault: Fault | None = None

    @property
    def accepted(self) -> bool:
        return self.utterance is not None


def judge_recording(source: str, samples: Samples, gate: Gate) -> Take:
    """Find the utterance in a recording (samples,) and judge it."""
    fault = too_long(samples)
    if fault:
        return Take(source, None, fault)
    utterance = find_utterance(samples, gate)
    if utterance is None:
        seconds = len(samples) / SAMPLE_RATE
        return Take(source, None, f"no speech found in {seconds:.1f} s (loudest {_loudest(samples):.0f} dBFS)")
    return judge(source, utterance)


def too_long(samples: Samples) -> str | None:
    """What is wrong with the length of a recording, if anything is."""
    seconds = len(samples) / SAMPLE_RATE
    return f"{seconds:.0f} s long; an example holds one utterance, in at most 10 s" if seconds > LONGEST_FILE else None


def judge(source: str, utterance: Utterance) -> Take:
    """Refuse what cannot be a command; say a doubt about what may be a poor example."""
    seconds = utterance.seconds
    if seconds < SHORTEST:
        reason = f"too short: {seconds:.2f} s of speech, at least {SHORTEST} s are needed"
        return Take(source, None, reason, "too_short")
    if seconds > LONGEST:
        reason = f"too long: {seconds:.1f} s of speech, at most {LONGEST:.0f} s are possible"
        return Take(source, None, reason, "too_long")
    if liveliness(utterance.samples, utterance.begin, utterance.end) < LIVELY:
        reason = "no speech found: the sound is too even to be a voice (noise, a hum, a tone?)"
        return Take(source, None, reason, "noise")
    return Take(source, utterance, *_doubt(utterance))


def _doubt(utterance: Utterance) -> tuple[str | None, Fault | None]:
    speech = utterance.samples[utterance.begin : utterance.end]
    if float(np.mean(np.abs(speech) >= 0.99)) > 0.002:
        return "clipped: the microphone is overdriven; speak softer or turn its gain down", "too_loud"
    level = decibels(speech)
    if level < -50:
        return f"very quiet ({level:.0f} dBFS): come closer or turn the gain up", "too_quiet"
    around = np.concatenate([utterance.samples[: utterance.begin], utterance.samples[utterance.end :]])
    if len(around) >= SAMPLE_RATE // 10 and level - decibels(around) < 10:
        return f"noisy: speech is only {max(0.0, level - decibels(around)):.0f} dB above the room", "noise"
    return None, None


def _loudest(samples: Samples) -> float:
    return 20 * float(np.log10(np.abs(samples).max(initial=0) + 1e-5))
