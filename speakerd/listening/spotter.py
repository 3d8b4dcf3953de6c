"""The spotter: frames in, a detection out whenever an utterance ends that is, or nearly is, a command."""

import time
import uuid

import numpy as np

from speakerd.audio.segmenter import LONGEST, SHORTEST, Segmenter, decibels
from speakerd.config.settings import Gate
from speakerd.events import Detection, Evidence, Samples, Utterance
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.scoring import Matcher
from speakerd.recognition.world import World
from speakerd.store.knowledge import Knowledge


class Spotter:
    """Cuts, embeds and compares. :meth:`know` may be called from another thread at any time."""

    def __init__(self, encoder: Encoder, world: World, gate: Gate, knowledge: Knowledge) -> None:
        self._encoder, self._world = encoder, world
        self.segmenter = Segmenter(gate)
        self.know(knowledge)

    def know(self, knowledge: Knowledge) -> None:
        """Listen for other commands from the next utterance on."""
        # one assignment: swapped between two frames
        self._known = Matcher(self._world, knowledge.commands), {c.name: c for c in knowledge.commands}

    def push(self, frame: Samples) -> Detection | None:
        """Take the next frame; a detection, accepted or not, if an utterance of a command's length has just ended."""
        return self._compared(self.segmenter.push(frame))

    def flush(self) -> Detection | None:
        """The stream is over."""
        return self._compared(self.segmenter.flush())

    def _compared(self, utterance: Utterance | None) -> Detection | None:
        if utterance is None or not SHORTEST <= utterance.seconds <= LONGEST:
            return None
        matcher, commands = self._known
        if not commands:
            return None
        embedding = self._encoder.embed(utterance)
        match = matcher.match(embedding)
        if match is None:
            return None
        return Detection(
            id=uuid.uuid4().hex[:12],
            time=utterance.decided,
            start=utterance.start,
            command=match.command,
            score=match.score,
            threshold=match.threshold,
            accepted=match.accepted,
            speaker=match.speaker,
            at=time.time(),
            action=commands[match.command].action,
            evidence=Evidence(
                names=tuple(match.scores),
                scores=np.array([*match.scores.values()], np.float32),
                thresholds=np.array([commands[name].threshold for name in match.scores], np.float32),
                embedding=embedding,
                level=decibels(utterance.samples[utterance.begin : utterance.end]),
                room=self.segmenter.room.level,
                utterance=utterance,
            ),
        )
