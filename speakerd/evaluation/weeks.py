"""Weeks in households: what learning by itself gains while a voice and a room change, and whether it can be poisoned.

Each person of a corpus who says enough words often enough is a household: some takes teach, some are said day by day,
slower, duller and in more noise as time goes by, some are kept for the end. A television says other words every day; in
an attacked household somebody also plays, again and again and never quite the same, whatever of it comes nearest to a
command. What is heard goes the way that it goes in the daemon: spotter, policy, journal, growth.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soxr

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_recording
from speakerd.audio.segmenter import find_utterance, frames_of
from speakerd.config import Config
from speakerd.errors import SpeakerdError
from speakerd.evaluation.material import Material
from speakerd.evaluation.metrics import Interval, interval
from speakerd.evaluation.sounds import Sounds
from speakerd.events import Detection, Samples
from speakerd.house import Mind
from speakerd.learning.growth import DELAY, Growth
from speakerd.learning.household import Household
from speakerd.learning.takes import judge_recording
from speakerd.listening.journal import DAY, Journal, Mark
from speakerd.listening.playing import PlayingSwitch
from speakerd.listening.policy import Policy
from speakerd.listening.spotter import Spotter
from speakerd.recognition.scoring import Matcher

TAUGHT, DAILY, KEPT = 3, 4, 3  # takes of each command
COMMANDS = 3
TELEVISION = 6  # words a day
STRANGERS = 60  # other words that the television has, and as many that are tried at the end
PLAYED = 3  # times a day that an attack is played
# What the last day is like: how fast, how much duller (the share of a one-pole low-pass), and the noise, dBFS below the
# speech; on the first there is none of it.
SLOWER, DULLER, SNR = 0.88, 0.6, 20.0

Generator = np.random.Generator


class Arm(StrEnum):
    """What is compared, on the same sounds."""

    TAUGHT = "as taught"
    GROWN = "learning by itself"
    ATTACKED = "learning by itself, attacked"


@dataclass(frozen=True)
class Person:
    """One household's sounds: of each command the takes that teach, that are said, and that are kept for the end;
    other words of the television, and others that are tried at the end."""

    name: str
    taught: dict[str, list[Path]]
    daily: dict[str, list[Path]]
    kept: dict[str, list[Path]]
    television: list[Path]
    strangers: list[Path]


@dataclass(frozen=True)
class Course:
    """How it went with one household. Shares: of the commands said as on the first day that were missed, before
    anything was learned; as on the last, at the end; of other words that were accepted then; of the attack's."""

    own: int
    foreign: int
    missed_first: float
    missed_last: float
    accepted: float
    attack_accepted: float


@dataclass(frozen=True)
class Line:
    """A line of the table, over households; ``own`` and ``foreign``: examples that were learned, in all."""

    arm: Arm
    persons: int
    days: int
    tries: int
    own: int
    foreign: int
    missed_first: Interval
    missed_last: Interval
    accepted: Interval
    attack_accepted: Interval

    @classmethod
    def of(cls, arm: Arm, days: int, persons: Sequence[Person], courses: Sequence[Course]) -> "Line":
        tries = sum(len(takes) for person in persons for takes in person.kept.values())
        shares = ("missed_first", "missed_last", "accepted", "attack_accepted")
        means = [interval([getattr(course, share) for course in courses]) for share in shares]
        own, foreign = sum(course.own for course in courses), sum(course.foreign for course in courses)
        return cls(arm, len(persons), days, tries, own, foreign, *means)


def people(material: Material, many: int, seed: int) -> list[Person]:
    """Households, drawn from all corpora.

    Raises:
        SpeakerdError: nobody says enough words often enough.
    """
    draw, sounds = np.random.default_rng(seed), material.sounds
    found: list[Person] = []
    for speaker in draw.permutation(np.unique(sounds.speakers)):
        words, counts = np.unique(sounds.words[sounds.speakers == speaker], return_counts=True)
        often = words[counts >= TAUGHT + DAILY + KEPT]
        if len(often) >= COMMANDS and len(found) < many:
            found.append(_person(sounds, speaker, draw.permutation(often)[:COMMANDS].tolist(), draw))
    if not found:
        needed = f"{COMMANDS} words {TAUGHT + DAILY + KEPT} times each"
        raise SpeakerdError(f"nobody in these recordings says {needed}; files are named WORD/SPEAKER_nohash_TAKE.wav")
    return found


def _person(sounds: Sounds, speaker: str, words: list[str], draw: Generator) -> Person:
    takes = {}
    for word in words:
        rows = np.flatnonzero((sounds.speakers == speaker) & (sounds.words == word))
        takes[word] = [sounds.pieces[row].path for row in draw.permutation(rows)]
    others = draw.permutation(np.flatnonzero(~np.isin(sounds.words, words)))
    paths = [sounds.pieces[row].path for row in others[: 2 * STRANGERS]]
    return Person(
        str(speaker),
        {word: paths[:TAUGHT] for word, paths in takes.items()},
        {word: paths[TAUGHT : TAUGHT + DAILY] for word, paths in takes.items()},
        {word: paths[TAUGHT + DAILY :][:KEPT] for word, paths in takes.items()},
        paths[::2],
        paths[1::2],
    )


def course(mind: Mind, config: Config, person: Person, arm: Arm, days: int, seed: int) -> Course:
    """Live through so many days in one household."""
    with TemporaryDirectory(prefix="speakerd-weeks-") as folder:
        return _Life(mind, config, mind.household(Path(folder), config), person, seed).lived(arm, days)


class _Life:
    def __init__(self, mind: Mind, config: Config, household: Household, person: Person, seed: int) -> None:
        self._mind, self._config, self._household, self._person = mind, config, household, person
        self._draw = np.random.default_rng(seed)
        self._now = 1.75e9
        self._journal = Journal(mind.world.spread, lambda: self._now)
        self._growth = Growth(household, self._journal, lambda: self._now)
        for word, paths in person.taught.items():
            household.enroll(word, [judge_recording(path.name, read_recording(path), config.gate) for path in paths])

    def lived(self, arm: Arm, days: int) -> Course:
        missed_first = self._missed(0.0)
        attack = self._nearest()
        said_as: dict[str, str | None] = {}  # what was truly said in each detection
        learned: set[str] = set()
        for day in range(days):
            for truth, path in self._today(day, attack if arm is Arm.ATTACKED else None):
                aside = self._draw.uniform(0.97, 1.03) if truth is None else 1.0
                for detection in self._heard(_older(read_recording(path), day / days, self._draw, aside)):
                    self._journal.note(detection, detection.rule)
                    said_as[detection.id] = truth
                self._now += DELAY + 1
                if arm is not Arm.TAUGHT:
                    list(self._growth.look())
                learned |= {heard.id for heard in self._journal.entries() if heard.mark is Mark.LEARNED}
            self._now += DAY - (self._now % DAY)
        truths = [said_as[id] for id in learned]
        played = [_older(read_recording(attack), 1.0, self._draw, self._draw.uniform(0.97, 1.03)) for _ in range(10)]
        return Course(
            own=sum(truth is not None for truth in truths),
            foreign=sum(truth is None for truth in truths),
            missed_first=missed_first,
            missed_last=self._missed(1.0),
            accepted=_share(bool(self._accepted(read_recording(path))) for path in self._person.strangers),
            attack_accepted=_share(bool(self._accepted(samples)) for samples in played),
        )

    def _today(self, day: int, attack: Path | None) -> Iterator[tuple[str | None, Path]]:
        """What is said on a day, and which command it truly is."""
        for word, paths in self._person.daily.items():
            yield word, paths[day % len(paths)]
        for row in self._draw.integers(len(self._person.television), size=TELEVISION):
            yield None, self._person.television[row]
        if attack is not None:
            for _ in range(PLAYED):
                yield None, attack

    def _nearest(self) -> Path:
        """The sound of the television that is most surely taken for a command."""
        matcher = Matcher(self._mind.world, self._household.knowledge.commands)

        def margin(path: Path) -> float:
            utterance = find_utterance(read_recording(path), self._config.gate)
            match = matcher.match(self._mind.encoder.embed(utterance)) if utterance else None
            return match.score - match.threshold if match else -np.inf

        return max(self._person.television, key=margin)

    def _heard(self, samples: Samples) -> list[Detection]:
        spotter = Spotter(self._mind.encoder, self._mind.world, self._config.gate, self._household.knowledge)
        quiet = 10 ** (-70 / 20) * self._draw.standard_normal(SAMPLE_RATE).astype(np.float32)
        stream = np.concatenate([quiet, samples, quiet])
        found = [*(one for frame in frames_of(stream) for one in spotter.push(frame)), *spotter.flush()]
        policy = Policy(self._config.listening, PlayingSwitch())
        return [replace(policy.judge(one), at=self._now) for one in found]

    def _accepted(self, samples: Samples) -> set[str]:
        return {detection.command for detection in self._heard(samples) if detection.accepted}

    def _missed(self, age: float) -> float:
        return _share(
            word not in self._accepted(_older(read_recording(path), age, self._draw))
            for word, paths in self._person.kept.items()
            for path in paths
        )


def _older(samples: Samples, age: float, draw: Generator, speed: float = 1.0) -> Samples:
    """A recording as it sounds when a share ``age`` (0 to 1) of all days is over."""
    speed *= 1 - age * (1 - SLOWER)
    played = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE / speed) if speed != 1 else samples
    dull = np.convolve(played, 0.7 ** np.arange(16) * 0.3)[: len(played)]
    mixed = (1 - DULLER * age) * played + DULLER * age * dull
    noise = age * 10 ** (-SNR / 20) * float(np.sqrt(np.mean(mixed**2))) * draw.standard_normal(len(mixed))
    return np.asarray(np.clip(mixed + noise, -1, 1), np.float32)


def _share(outcomes: Iterator[bool]) -> float:
    return float(np.mean([*outcomes]))


def document(lines: Sequence[Line]) -> Iterator[str]:
    """The table, as Markdown."""
    first = lines[0]
    yield f"{first.persons} households, {first.days} days; {first.tries} commands at the end; 95 % over households."
    yield ""
    yield "| | learned: own | others' | missed, first day | missed, last day | other words accepted | attack accepted |"
    yield "|---|---|---|---|---|---|---|"
    for line in lines:
        yield (
            f"| {line.arm} | {line.own} | {line.foreign} | {line.missed_first} | {line.missed_last} | {line.accepted} "
            f"| {line.attack_accepted} |"
        )
