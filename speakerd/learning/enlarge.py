"""More examples out of one: the same utterance faster and slower, softer, in more of the room's own noise, and with the
echoes of other rooms.

Three examples said on a quiet evening close by do not show what the command sounds like beside a fan, or from the door.
Each variant is made from the example's own samples and from nothing that is drawn anew, so that learning again from
kept audio gives the same. How much each counts is in recognition/scoring.py.
"""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import soxr

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import decibels
from speakerd.events import Samples, Utterance

SPEEDS = (0.9, 1.1)
SNRS = (15.0, 8.0, 2.0)  # dB of the utterance above the added noise
ROOMS = ((0.3, 2.0), (0.6, -3.0))  # seconds in which echoes die away by 60 dB, dB of the voice itself above them all
VARIANTS = len(SPEEDS) + 1 + len(SNRS) + len(ROOMS)
SOFTER = -15.0  # dB
ECHO = 48  # samples after which the first echo comes
WINDOW = 512  # of the noise's spectrum, 32 ms
SILENT = -85.0  # dBFS; a room that is this quiet was cut off by the microphone, and has no sound of its own


def enlarge(utterance: Utterance, room: Samples | None = None) -> Iterator[Utterance]:
    """Variants of an utterance. ``room`` (samples,) is what the room sounds like when nobody speaks, at any level; by
    default what is heard around the utterance."""
    samples = utterance.samples
    for speed in SPEEDS:
        begin, end = round(utterance.begin / speed), round(utterance.end / speed)
        played = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE / speed)
        yield replace(utterance, samples=played, begin=begin, end=min(end, len(played)))
    yield replace(utterance, samples=_louder(samples, SOFTER))
    speech = decibels(samples[utterance.begin : utterance.end])
    kept = np.round(samples * 32767).astype(np.int16)  # as FLAC keeps it: learned again, it is the same
    noise = _like(_around(utterance) if room is None else room, len(samples), zlib.crc32(kept.tobytes()))
    for snr in SNRS:
        noisy = np.clip(samples + _louder(noise, speech - snr), -1, 1)
        yield replace(utterance, samples=noisy.astype(np.float32))
    for response in map(_response, ROOMS):
        yield replace(utterance, samples=in_room(samples, response))


def in_room(samples: Samples, response: Samples) -> Samples:
    """What becomes of samples (n,) in a room with that impulse response; as long as before."""
    return np.clip(convolved(samples, response)[: len(samples)], -1, 1)


def convolved(samples: Samples, response: Samples) -> Samples:
    """Samples (n,) with an impulse response (m,) and all of its echoes, (n + m - 1,)."""
    length = len(samples) + len(response) - 1
    size = 1 << (length - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    return np.asarray(heard[:length], np.float32)


def _around(utterance: Utterance) -> Samples:
    return np.concatenate([utterance.samples[: utterance.begin], utterance.samples[utterance.end :]])


def _like(room: Samples, length: int, seed: int) -> Samples:
    """Noise (length,) at 0 dBFS with the spectrum of ``room``; pink, where that has none."""
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    # Not from numpy.random, which brings the daemon OpenSSL and 5 MB, and below no np.median, which brings 2 MB.
    phase = np.frombuffer(Random(seed).randbytes(2 * len(frequency)), "<u2") * (2 * np.pi / 65536)
    if len(room) >= 4 * WINDOW and decibels(room) > SILENT:
        pieces = np.lib.stride_tricks.sliding_window_view(room, WINDOW)[:: WINDOW // 2] * np.hanning(WINDOW)
        powers = np.sort(np.abs(np.fft.rfft(pieces)) ** 2, axis=0)
        power = (powers[(len(powers) - 1) // 2] + powers[len(powers) // 2]) / 2  # a click in the room is not its noise
        colour = np.interp(frequency, np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE), np.sqrt(power))
    else:
        colour = 1 / np.sqrt(np.maximum(frequency, 50.0))
    noise = np.fft.irfft(np.exp(1j * phase) * colour, length)
    return np.asarray(noise / np.maximum(np.sqrt(np.mean(noise**2)), 1e-9), np.float32)


@cache
def _response(room: tuple[float, float]) -> Samples:
    """The impulse response of a room: a voice, and 3 ms later noise that dies away."""
    decay, above = room
    length = round(decay * SAMPLE_RATE)
    echoes = np.frombuffer(Random(length).randbytes(2 * length), "<i2") * 10 ** (-3 * np.arange(length) / length)
    echoes[:ECHO] = 0
    response = echoes * 10 ** (-above / 20) / np.linalg.norm(echoes)
    response[0] = 1
    return np.asarray(response, np.float32)


def _louder(samples: Samples, gain: float) -> Samples:
    return np.asarray(samples * 10 ** (gain / 20), np.float32)
