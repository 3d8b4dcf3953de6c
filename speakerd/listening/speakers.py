"""Who is speaking: gives a detection its speaker, where one of those who taught the command surely was."""

from collections.abc import Mapping
from dataclasses import replace

from speakerd.events import Detection
from speakerd.recognition.voices import Voices
from speakerd.recognition.world import World


class Speakers:
    """``voices`` by the command's name; replaced, never changed, when somebody teaches."""

    def __init__(self, world: World, voices: Mapping[str, Voices]) -> None:
        self._world, self.voices = world, voices

    def named(self, detection: Detection) -> Detection:
        voices, evidence = self.voices.get(detection.command), detection.evidence
        who = voices.who(self._world.point(evidence.embedding)) if voices and evidence else None
        return replace(detection, speaker=who)
