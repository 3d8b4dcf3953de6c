"""A whole evaluation: draw episodes, try the product and its controls on them under each condition, collect figures."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from speakerd.config import Config
from speakerd.errors import SpeakerdError
from speakerd.evaluation.conditions import Level, shown
from speakerd.evaluation.controls import Scorer
from speakerd.evaluation.episodes import Episode, Support, Task
from speakerd.evaluation.few_shot import PRODUCT, Draw, Figures, figures
from speakerd.evaluation.languages import Language, together
from speakerd.evaluation.material import Conditions, Ear, Material
from speakerd.evaluation.personal import Person, Personal, personal, persons
from speakerd.evaluation.protocols import Protocol, SpeechCommands, compact
from speakerd.evaluation.sounds import NOTHING, Progress, Sounds
from speakerd.house import Mind

log = logging.getLogger(__name__)

Line = Figures | Personal | Language
AnyLine = TypeVar("AnyLine", Figures, Personal, Language)


@dataclass(frozen=True)
class Plan:
    """How corpora are tried. ``controls`` by name, beside the product; ``personal``: also each speaker; ``languages``:
    of which language a corpus is."""

    conditions: Conditions = field(default_factory=Conditions)
    shots: tuple[int, ...] = (3,)
    draws: int = 100
    seed: int = 0
    ways: int | None = None
    support: Support = Support.CROSS
    controls: dict[str, Scorer] = field(default_factory=dict)
    personal: bool = False
    languages: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """The draws of each method of one corpus, number of shots and condition."""

    corpus: str
    shots: int
    level: Level
    draws: dict[str, list[Draw]]


class Study:
    """Tries what a plan says, gives every line to ``say`` as soon as it is known, and keeps everything."""

    def __init__(self, plan: Plan, say: Callable[[Line], None]) -> None:
        self.plan, self._say = plan, say
        self.figures: list[Figures] = []
        self.personal: list[Personal] = []
        self.languages: list[Language] = []
        self.results: list[Result] = []
        self.episodes: list[Episode] = []
        self.sounds: Sounds = NOTHING
        self._ear: Ear | None = None

    def corpora(self, mind: Mind, config: Config, material: Material, progress: Progress) -> None:
        """Try each corpus with the others, and what lies outside, as negatives.

        Raises:
            SpeakerdError: there is nothing to reject, or nothing that could be tried.
        """
        plan = self.plan
        for corpus in material.corpora:
            if not len(material.strange_to(corpus)) and plan.ways is None:
                raise SpeakerdError("nothing to reject: give --negatives or --speech, or several corpora below --data")
        self.sounds = material.sounds
        ear = self._ear = Ear(mind, material.sounds, plan.conditions, config, progress)
        everybody: dict[tuple[int, Level], list[Person]] = {}
        for corpus, rows in material.corpora.items():
            strange = material.strange_to(corpus)
            for shots in plan.shots:
                task = Task(material.sounds, corpus, rows, ear.usable, strange, shots, plan.ways, plan.support)
                try:
                    episodes = list(task.episodes(plan.draws, plan.seed))
                    self._try(ear, episodes, shots, plan.support, plan.controls)
                except SpeakerdError as error:
                    log.warning("left out: %s", error)
                if not plan.personal:
                    continue
                try:
                    found = persons(ear, corpus, rows, strange, shots, plan.draws, plan.seed)
                except SpeakerdError as error:
                    log.warning("left out of the persons: %s", error)
                    continue
                for level, several in found.items():
                    everybody.setdefault((shots, level), []).extend(several)
                    self._tell(self.personal, personal(corpus, shots, level, several))
        for (shots, level), several in everybody.items():
            if len({person.corpus for person in several}) > 1:
                self._tell(self.personal, personal("all", shots, level, several))
        self._together()
        if not self.figures:
            raise SpeakerdError("nothing could be measured")

    def paper(self, mind: Mind, config: Config, protocol: Protocol, folder: Path, progress: Progress) -> None:
        """Try a paper's protocol on Speech Commands; the paper's rule is one more control.

        Raises:
            SpeakerdError: the folder does not hold what the protocol needs.
        """
        plan = self.plan
        corpus = SpeechCommands(folder)
        drawn = {
            shots: protocol.episodes(corpus, shots, plan.ways, plan.draws, plan.seed) for shots in plan.shots
        }  # fmt: skip
        self.sounds, moved = compact(corpus.sounds, [episode for several in drawn.values() for episode in several])
        ear = self._ear = Ear(mind, self.sounds, plan.conditions, config, progress, protocol.silence)
        for i, shots in enumerate(drawn):
            several = moved[i * plan.draws : (i + 1) * plan.draws]
            self._try(ear, several, shots, "paper", {"paper's rule": protocol.rule, **plan.controls})

    def plot(self, folder: Path) -> list[Path]:
        """Draw curves of each corpus and number of shots, of the methods and in noise, and a map of each corpus;
        returns the files.

        Raises:
            SpeakerdError: a library that draws is not installed.
        """
        from speakerd.evaluation.plots import embedding_map, roc

        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for corpus, shots in dict.fromkeys((result.corpus, result.shots) for result in self.results):
            own = [r for r in self.results if (r.corpus, r.shots) == (corpus, shots)]
            if not len(own[0].draws[PRODUCT][0].negatives):
                continue
            title = f"{corpus}, {shots} examples a command"
            files.append(folder / f"roc-{corpus}-{shots}.png")
            roc(files[-1], title, own[0].draws)
            if len(own) > 1:
                files.append(folder / f"noise-{corpus}-{shots}.png")
                roc(files[-1], f"{title}, in noise", {shown(r.level): r.draws[PRODUCT] for r in own})
        assert self._ear is not None
        for corpus in dict.fromkeys(self.sounds.corpora[np.concatenate([e.queries for e in self.episodes])]):
            rows = np.flatnonzero((self.sounds.corpora == corpus) & self._ear.clean.cut)
            files.append(folder / f"map-{corpus}.png")
            embedding_map(files[-1], f"{corpus}: clips as they are compared", self._ear.clean.white[rows],
                          self.sounds.words[rows])  # fmt: skip
        return files

    def _try(self, ear: Ear, episodes: Sequence[Episode], shots: int, support: str, others: dict[str, Scorer]) -> None:
        """The product and each control on the same draws, under each condition."""
        self.episodes += episodes
        for level, trial in ear.trials.items():
            heard = trial.heard(episodes)
            both = [trial.product(episode) for episode in episodes]
            product = [draw for draw, _ in both]
            promised = [promise for _, promise in both]
            self._tell(self.figures, figures(episodes, product, PRODUCT, support, shots, level, heard, promised))
            draws = {PRODUCT: product}
            for name, scorer in others.items():
                draws[name] = [trial.control(scorer, episode) for episode in episodes]
                found = figures(episodes, draws[name], name, support, shots, level, heard, product=product)
                self._tell(self.figures, found)
            self.results.append(Result(episodes[0].corpus, shots, level, draws))

    def _together(self) -> None:
        """The lines of languages."""
        spoken = self.plan.languages
        unknown = set(spoken) - {result.corpus for result in self.results}
        if unknown:
            log.warning("--language names what was not tried: %s", ", ".join(sorted(unknown)))
        kinds = dict.fromkeys((r.shots, r.level, name) for r in self.results for name in r.draws)
        for language in dict.fromkeys(spoken.values()):
            for shots, level, name in kinds:
                corpora = {
                    r.corpus: r.draws[name]
                    for r in self.results
                    if (r.shots, r.level, spoken.get(r.corpus)) == (shots, level, language)
                }
                if corpora:
                    self._tell(self.languages, together(language, name, shots, level, corpora))

    def _tell(self, lines: list[AnyLine], line: AnyLine) -> None:
        lines.append(line)
        self._say(line)
