"""The spotter: frames in, a detection out whenever an utterance ends that is, or nearly is, a command."""

import time
import uuid

from speakerd.audio.segmenter import LONGEST, SHORTEST, Segmenter
from speakerd.config.settings import Gate
from speakerd.events import Detection, Samples, Utterance
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
        actions = {command.name: command.action for command in knowledge.commands}
        self._known = Matcher(self._world, knowledge.commands), actions  # one assignment: swapped between two frames

    def push(self, frame: Samples) -> Detection | None:
        """Take the next frame; a detection, accepted or not, if an utterance of a command's length has just ended."""
        return self._compared(self.segmenter.push(frame))

    def flush(self) -> Detection | None:
        """The stream is over."""
        return self._compared(self.segmenter.flush())

    def _compared(self, utterance: Utterance | None) -> Detection | None:
        if utterance is None or not SHORTEST <= utterance.seconds <= LONGEST:
            return None
        matcher, actions = self._known
        if not actions:
            return None
        match = matcher.match(self._encoder.embed(utterance))
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
            action=actions[match.command],
        )
