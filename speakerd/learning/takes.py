"""Judging a take: is there one utterance in it, of a length a command can have, and how good is it?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import FRAME, LONGEST, LOOK, SHORTEST, decibels, find_utterance
from speakerd.audio.voice import shipped
from speakerd.config.settings import Gate
from speakerd.events import Samples, Utterance

LONGEST_FILE = 10.0  # seconds
SPAN = LOOK * FRAME  # samples in which the gate looks for a voice
# On the average over an utterance, of 1,500 words as recorded none sounds less like a voice than -1.7 and 0 to 25 dB
# above noise none less than -4.1 (audio/voice.py); a chord whose beginning has opened the gate has -6.2.
LEAST = -5.0
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
    return judge(source, utterance, gate)


def too_long(samples: Samples) -> str | None:
    """What is wrong with the length of a recording, if anything is."""
    seconds = len(samples) / SAMPLE_RATE
    return f"{seconds:.0f} s long; an example holds one utterance, in at most 10 s" if seconds > LONGEST_FILE else None


def judge(source: str, utterance: Utterance, gate: Gate) -> Take:
    """Refuse what cannot be a command; say a doubt about what may be a poor example."""
    seconds = utterance.seconds
    if seconds < SHORTEST:
        reason = f"too short: {seconds:.2f} s of speech, at least {SHORTEST} s are needed"
        return Take(source, None, reason, "too_short")
    if seconds > LONGEST:
        reason = f"too long: {seconds:.1f} s of speech, at most {LONGEST:.0f} s are possible"
        return Take(source, None, reason, "too_long")
    if gate.voices_only and _voice(utterance) < LEAST:
        reason = "no speech found: the sound is too even to be a voice (noise, a hum, a tone?)"
        return Take(source, None, reason, "noise")
    return Take(source, utterance, *_doubt(utterance))


def _voice(utterance: Utterance) -> float:
    """How much it sounds like a voice, on the average."""
    begin = min(utterance.begin, max(0, utterance.end - SPAN))
    starts = range(begin, max(begin + 1, utterance.end - SPAN + 1), SPAN // 4)
    return float(np.mean([shipped().score(utterance.samples[at : at + SPAN]) for at in starts]))


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
