"""A stream is tried: its commands are taught as ``enroll`` does, then the very loop of ``listen`` hears it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_recording
from speakerd.audio.segmenter import frames_of
from speakerd.config import Config
from speakerd.evaluation.stream_score import Fire, Heard
from speakerd.evaluation.streams import Stream
from speakerd.events import Detection, Samples
from speakerd.house import Mind
from speakerd.learning.calibration import TALK_HOURS
from speakerd.learning.household import EnrolmentError, Household
from speakerd.learning.takes import judge_recording
from speakerd.listening.loop import Loop
from speakerd.listening.playing import PlayingSwitch
from speakerd.listening.policy import Policy, too_close
from speakerd.listening.spotter import Spotter
from speakerd.recognition.encoder import FRAME

log = logging.getLogger(__name__)

HOP = FRAME / SAMPLE_RATE  # seconds that a peak must be over to be known as one
BUDGETS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)  # false accepts per hour of talk, of the whole speaker


@dataclass(frozen=True)
class Played:
    """A source that plays samples as fast as they are taken."""

    samples: Samples

    def __iter__(self) -> Iterator[Samples]:
        return frames_of(self.samples)

    def be_patient(self, seconds: float) -> None:
        pass  # all of it is there

    def close(self) -> None:
        pass  # nobody ends it early


def listen(mind: Mind, config: Config, stream: Stream) -> Heard:
    """Teach, find the thresholds for all BUDGETS, and hear the stream with those of ``config``.

    Raises:
        SpeakerdError: a clip cannot be read.
    """
    with TemporaryDirectory(prefix="speakerd-stream-") as folder:
        household = mind.household(Path(folder), config)
        for name, paths in stream.taught.items():
            takes = [judge_recording(path.name, read_recording(path), config.gate) for path in paths]
            try:
                household.enroll(name, takes)
            except EnrolmentError as error:
                log.warning("%s: will be missed: %s", stream.name, error)
        knowledge = household.knowledge
        promised = {budget: _thresholds(household, config, budget) for budget in BUDGETS}
    heard: list[Detection] = []
    policy = Policy(config.listening, PlayingSwitch())

    def judged(detection: Detection) -> None:
        """What a rule turns away is neither hit nor alarm; nor are two that are too close to call, at any threshold."""
        if policy.judge(detection).accepted == detection.accepted and too_close(detection) is None:
            heard.append(detection)

    Loop(Played(stream.samples), Spotter(mind.encoder, mind.world, config.gate, knowledge)).run(judged)
    fires = tuple(Fire(_told(one), one.command, one.score, one.threshold) for one in heard)
    return Heard(stream.name, stream.seconds, stream.talk, stream.said, fires, promised)


def _told(one: Detection) -> float:
    """When it was told, or with a lower threshold would have been; what is not accepted waits for something better."""
    if one.accepted or one.evidence is None or one.evidence.utterance is None:
        return one.time
    return min(one.time, one.evidence.utterance.end_time + HOP)


def _thresholds(household: Household, config: Config, budget: float) -> dict[str, float]:
    """What the commands' thresholds would be, were the budget all that counts."""
    wanted = msgspec.structs.replace(config.listening, false_accepts_per_day=budget * TALK_HOURS, highest_frr=1 - 1e-9)
    household.take_over(msgspec.structs.replace(config, listening=wanted))
    return {command.name: command.threshold for command in household.knowledge.commands}
