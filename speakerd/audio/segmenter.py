"""The gate: finds utterances in 20 ms frames. Enrolment, scoring and the spotter all cut speech with this one.

webrtcvad tells noise from silence better than speech from noise, so a frame counts only if it also stands out from a
running estimate of the room's own level; and several such frames open the gate only where the last 0.4 s sound like a
voice (voice.py). That is looked at only where the gate would open without it, so that silence costs no more. A little
above the room is enough to open the gate and to hold it; what was spoken is cut where it stands out clearly, so that
the noise around a word is no part of it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from math import log10

import numpy as np
import webrtcvad

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.voice import Voice, shipped
from speakerd.config.settings import Gate
from speakerd.events import Samples, Utterance

FRAME = 320  # samples, 20 ms
MEAN = np.full(FRAME, 1 / FRAME, np.float32)
LOOK = 20  # frames in which a voice must be heard; the gate may open so much later than speech begins
# After so many frames of a sound it is asked for first, and every so many where a sound goes on that was none.
ASK = 3
SHORTEST, LONGEST = 0.2, 4.0  # seconds that a command can last; what is longer is talk, what is shorter a noise


def decibels(samples: Samples) -> float:
    """Level in dBFS, not below -100."""
    return 10 * log10(float(samples @ samples) / len(samples) + 1e-10)


class Room:
    """The level of the room when nobody speaks, dBFS: that of the quietest tenth of a second in the last one and a
    half. Talk has pauses in such a time and steady noise has none, however suddenly it begins (minimum statistics:
    Martin, Spectral subtraction based on minimum statistics, 1994)."""

    QUIETEST = -72.0
    LOUDEST_START = -45.0  # a recording that begins in the middle of a word must not take the word for the room
    BLOCK, BLOCKS = 15, 5  # frames in each of the runs whose minima are remembered, and how many

    def __init__(self) -> None:
        self.level = self.LOUDEST_START
        self._recent: deque[float] = deque(maxlen=5)
        self._lowest = deque([self.LOUDEST_START] * self.BLOCKS, self.BLOCKS)  # the last of them is in the making
        self._frames = 0

    def above(self, level: float) -> float:
        """How far a frame of that level is above the room, in dB; the room hears it, too."""
        self._recent.append(level)
        smooth = sum(self._recent) / len(self._recent)
        self._frames += 1
        if self._frames % self.BLOCK == 0:
            self._lowest.append(smooth)
            self.level = max(self.QUIETEST, min(self._lowest))
        elif smooth < self._lowest[-1]:
            self._lowest[-1] = smooth
            self.level = max(self.QUIETEST, min(self.level, smooth))
        return level - self.level


class Segmenter:
    """Push frames, get an :class:`Utterance` whenever one has ended."""

    OPEN_FRAMES, OPEN_OF = 3, 5  # so many of the last so many frames open the gate
    # dB above the room, from which on a frame opens the gate or holds it, and counts as speech
    SOUND, SPEECH = 3.0, 6.0
    HELD = 2  # times the pause that ends an utterance, for which mere sound holds the gate open
    AFTER = int(0.2 * SAMPLE_RATE)  # audio kept after the end: what the last sound says arrives late

    def __init__(self, gate: Gate | None = None, voice: Voice | None = None) -> None:
        """``voice`` None is the one that came along, where ``gate`` wants one."""
        gate = gate or Gate()
        self._voice = voice or (shipped() if gate.voices_only else None)
        self._asked = 0  # how often, since the sound began
        self._vad = webrtcvad.Vad(gate.aggressiveness)
        self._hangover = max(1, gate.hangover_ms // 20)
        self._preroll = max(1, gate.preroll_ms // 20)
        self.room = Room()
        self.level = -100.0
        self._before: deque[Samples] = deque(maxlen=self._preroll + LOOK + 1)
        self._votes: deque[bool] = deque(maxlen=LOOK)  # which of the last frames were speech
        self._sounds: deque[bool] = deque(maxlen=self.OPEN_OF)  # and which were sound
        self._frames: list[Samples] = []  # of the open utterance, from its pre-roll on
        self._begin = self._last = 0  # in frames of self._frames: first speech, end of the last speech
        self._held = 0  # the same: end of the last sound
        self._total = 0  # frames of the open utterance, also those that are no longer kept
        self._count = 0  # frames since the stream began
        self.open = False

    @property
    def heard(self) -> list[Samples]:
        """Frames of the open utterance, from its pre-roll on; of a long one, its beginning."""
        return self._frames

    @property
    def spoken(self) -> tuple[int, int]:
        """Where in the open utterance the speech is so far, in samples from the pre-roll on."""
        return self._begin * FRAME, self._last * FRAME

    @property
    def pause(self) -> int:
        """Frames since the last that was speech, while an utterance is open; none before the first."""
        return self._total - self._last if self._last > self._begin else 0

    def push(self, frame: Samples) -> Utterance | None:
        """Take the next frame, (320,)."""
        self._count += 1
        self.level = decibels(frame - frame @ MEAN)  # a cheap sound card's constant offset is no sound
        pcm = (np.minimum(np.maximum(frame, -1), 1) * 32767).astype(np.int16).tobytes()  # np.clip takes twice as long
        voice, above = self._vad.is_speech(pcm, SAMPLE_RATE), self.room.above(self.level)
        sound, speech = voice and above > self.SOUND, voice and above > self.SPEECH
        self._before.append(frame)
        if not self.open:
            self._votes.append(speech)
            self._sounds.append(sound)
            if sum(self._sounds) < self.OPEN_FRAMES:
                self._asked = 0
            elif self._voiced():
                self._opened()
            return None
        self._total += 1
        if self._total <= LONGEST * 50 + self._preroll + self._hangover:
            self._frames.append(frame)
        if sound:
            self._held = self._total
        if speech:
            if self._last == self._begin:
                self._begin = self._total - 1
            self._last = self._total
        over = self._total - self._held >= self._hangover or self._total - self._last >= self.HELD * self._hangover
        return self._closed() if over else None

    def flush(self) -> Utterance | None:
        """The stream is over: end the open utterance, if any."""
        return self._closed() if self.open else None

    def reset(self) -> None:
        """Forget the open utterance and what preceded it (the stream was interrupted)."""
        self._close()
        self._before.clear()

    def _voiced(self) -> bool:
        if self._voice is None:
            return True
        self._asked += 1
        if self._asked < ASK or (self._asked > LOOK and self._asked % ASK):
            return False
        recent = list(self._before)[-LOOK:]
        return len(recent) >= LOOK // 2 and self._voice.score(np.concatenate(recent)) > 0

    def _opened(self) -> None:
        self.open = True
        began, ended = self._lately()
        self._frames = list(self._before)[-self._preroll - began :]
        self._total = self._held = len(self._frames)
        self._begin, self._last = self._total - began, self._total - ended
        self._votes.clear()
        self._sounds.clear()

    def _lately(self) -> tuple[int, int]:
        """How many frames ago speech began, of which there is some in every few, and ended; none, as far as is known,
        has begun and ended now."""
        began = ended = 0
        for ago, speech in enumerate(reversed(self._votes), 1):
            if speech:
                began, ended = ago, ended if began else ago - 1
            elif began and ago - began >= self.OPEN_OF:
                break
        return began, ended

    def _closed(self) -> Utterance | None:
        """The utterance that ends here; None, if nothing stood out clearly."""
        frames = self._frames
        self._close()
        if self._last == self._begin:
            return None
        after = -(-self.AFTER // FRAME)
        return Utterance(
            samples=np.concatenate(frames[: self._last + after]),
            begin=self._begin * FRAME,
            end=self._last * FRAME,
            start=(self._count - self._total + self._begin) * FRAME / SAMPLE_RATE,
            decided=self._count * FRAME / SAMPLE_RATE,
        )

    def _close(self) -> None:
        self.open = False
        self._frames = []
        self._votes.clear()
        self._sounds.clear()


def frames_of(samples: Samples) -> Iterator[Samples]:
    """Cut a recording into frames, the last one filled up with zeros."""
    for at in range(0, len(samples), FRAME):
        frame = samples[at : at + FRAME]
        yield frame if len(frame) == FRAME else np.pad(frame, (0, FRAME - len(frame)))


def utterances(frames: Iterable[Samples], gate: Gate | None = None) -> Iterator[Utterance]:
    """All utterances of a recording."""
    segmenter = Segmenter(gate)
    for frame in frames:
        found = segmenter.push(frame)
        if found is not None:
            yield found
    found = segmenter.flush()
    if found is not None:
        yield found


def find_utterance(samples: Samples, gate: Gate | None = None) -> Utterance | None:
    """The utterance of a recording that holds one command: the one with the most sound in it, None if nobody speaks."""
    return max(utterances(frames_of(samples), gate), key=_loudness, default=None)


def _loudness(utterance: Utterance) -> float:
    return float(np.square(utterance.samples[utterance.begin : utterance.end]).sum())
