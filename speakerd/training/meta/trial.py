"""All methods and their controls on words that none of them learned from, all on the same draws.

The words lie in ``DIR/words/dev`` and are taught by some people and said by others; what must be turned away are the
words of the other corpora and pieces of ``DIR/speech/dev``. Controls live in the whitened space of the same strangers
that the head is adapted against, and once more in the space that it starts in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from speakerd.errors import SpeakerdError
from speakerd.evaluation.controls import CONTROLS
from speakerd.evaluation.episodes import Episode, Task
from speakerd.evaluation.metrics import Interval, accuracy_at, interval, rejects_saved
from speakerd.evaluation.sounds import NOTHING, hear, speech_in, words_in
from speakerd.evaluation.space import Vectors
from speakerd.recognition.course import parted, unit
from speakerd.recognition.encoder import Encoder, TrunkEncoder
from speakerd.recognition.head import Adapter, Matrix
from speakerd.recognition.world import Resting, World, coarse, whitening_of
from speakerd.training.meta.cache import Cache
from speakerd.training.meta.episodes import Episodes
from speakerd.training.meta.inner import Learn, Params, scores, strangers
from speakerd.training.meta.inner import Task as Enrolment
from speakerd.training.meta.space import first_space, projected
from speakerd.training.meta.train import ITERATIONS, cached, family
from speakerd.training.world import COHORT

SHOTS = (3, 5, 10)


@dataclass(frozen=True)
class Outcome:
    """Of a method on the draws of one corpus with so many examples: (draws,) each."""

    corpus: str
    shots: int
    method: str
    at_1: list[float]
    at_5: list[float]
    closed: list[float]

    def over(self, control: "Outcome") -> Interval:
        """The share of the control's false rejects at 1 % false accepts that this method saves."""
        return rejects_saved(self.at_1, control.at_1)

    def __str__(self) -> str:
        cells = [
            self.corpus,
            str(self.shots),
            self.method,
            *map(str, map(interval, (self.at_1, self.at_5, self.closed))),
        ]
        return "| " + " | ".join(cells) + " |"


class Trial:
    """Hears the words once; then tries methods on them."""

    def __init__(self, encoder: Encoder, adapter: Adapter, data: Path, cache: Cache, seed: int = 0) -> None:
        """Raises:
        SpeakerdError: there are no such words.
        """
        folders = sorted(path for path in (data / "words/dev").glob("*") if path.is_dir())
        if not folders:
            raise SpeakerdError(f"no recordings like {data}/words/dev/<corpus>/<word>/<speaker>_nohash_0.wav")
        sounds = sum(map(words_in, folders), NOTHING) + speech_in(data / "speech/dev", lambda _: None)
        self._sounds, (heard,) = sounds, hear(encoder, sounds, lambda _: None).values()
        self._cut = heard.cut
        self._mean, self._matrix = first_space(cache)
        episodes = Episodes(cache, self._mean, self._matrix, seed)
        rows = episodes.cohort(COHORT)
        pooled, _ = parted(heard.vectors, encoder.pooled)
        self._vectors = torch.from_numpy(unit(np.asarray((pooled - self._mean) @ self._matrix, np.float32)))
        self._others = episodes.vectors[rows]
        strange = cache.vectors[rows]
        self._spaces = {
            "": _world(adapter, encoder.id, strange, *whitening_of(strange)),
            ", first space": _world(adapter, encoder.id, strange, self._mean, self._matrix),
        }
        self._controls = {
            name: Vectors.of(world, heard.vectors, heard.cut, heard.seconds) for name, world in self._spaces.items()
        }

    def draws(self, shots: int, many: int, seed: int = 0) -> Iterator[tuple[str, list[Episode]]]:
        """Draws of each corpus that has enough speakers."""
        corpora = self._sounds.corpora
        for corpus in sorted(set(corpora[self._sounds.words != ""])):
            rows, outside = np.flatnonzero(corpora == corpus), np.flatnonzero((corpora != corpus) & self._cut)
            try:
                yield corpus, list(Task(self._sounds, corpus, rows, self._cut, outside, shots).episodes(many, seed))
            except SpeakerdError:  # too few speakers for so many examples
                continue

    def controls(self, corpus: str, shots: int, episodes: list[Episode]) -> Iterator[Outcome]:
        for space, world in self._spaces.items():
            vectors = self._controls[space]
            for name, scorer in CONTROLS.items():
                if space and name in ("prototype", "whitened"):
                    continue  # these have a space of their own
                found = []
                for episode in episodes:
                    score = scorer(world, vectors[episode.support], episode.owners)
                    found.append(
                        self._figures(episode, score(vectors[episode.queries]), score(vectors[episode.negatives]))
                    )
                yield Outcome(corpus, shots, name + space, *map(list, zip(*found, strict=True)))

    def method(
        self, name: str, learn: Learn, params: Params, corpus: str, shots: int, episodes: list[Episode]
    ) -> Outcome:
        """``learn`` as the methods with an inner loop have it: the last of what it gives is tried."""
        share = torch.ones(len(self._others))
        known: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        found = []
        for episode in episodes:
            ways = len(episode.names)
            member = F.one_hot(torch.from_numpy(episode.owners), ways).float()
            task = Enrolment(self._vectors[episode.support], member, self._others, share, torch.zeros(len(share)))
            head = learn(params, task)[-1]
            key = id(head["metric"])
            if key not in known:  # most methods leave the metric as it is
                vectors, others = projected(head["metric"], self._vectors), projected(head["metric"], self._others)
                off = strangers(params, vectors, others, share)
                known = {key: (head["metric"], vectors, off)}
            _, vectors, off = known[key]
            asked, strange = (
                scores(head, vectors[rows], off[rows]).numpy() for rows in (episode.queries, episode.negatives)
            )
            found.append(self._figures(episode, asked, strange))
        return Outcome(corpus, shots, name, *map(list, zip(*found, strict=True)))

    def _figures(self, episode: Episode, asked: Matrix, strange: Matrix) -> tuple[float, float, float]:
        """Accuracy at 1 and at 5 % false accepts, and among the commands alone."""
        best = np.where(self._cut[episode.queries], asked.max(axis=1), -np.inf)
        right = asked.argmax(axis=1) == episode.truth
        one, five = (accuracy_at(best, right, strange.max(axis=1), rate) for rate in (0.01, 0.05))
        return one, five, float(right.mean())


def _world(adapter: Adapter, encoder: str, strange: Matrix, mean: Matrix, matrix: Matrix) -> World:
    nobody = np.zeros((0, strange.shape[1]), np.float32)
    white = World(adapter, encoder, mean, matrix, nobody).place(strange)
    return World(adapter, encoder, mean, matrix, white, impostors=Resting.of(coarse(white)))


def compare(
    models: Path, data: Path, cache_file: Path, draws: int = 100, seed: int = 0, iterations: int = ITERATIONS
) -> Iterator[Outcome]:
    """Every method and control on ``DIR/words/dev``, each on the same draws; ``models`` holds the encoder and what
    ``meta_train`` made for it.

    Raises:
        SpeakerdError: there are no such words, or too little to learn from.
    """
    torch.set_num_threads(1)
    encoder = TrunkEncoder(models)
    cache = cached(encoder, data, seed, cache_file)
    trial = Trial(encoder, Adapter(models / "adapt.onnx", encoder.id), data, cache, seed)
    methods = list(family(cache, seed, iterations))
    for shots in SHOTS:
        for corpus, episodes in trial.draws(shots, draws, seed):
            yield from trial.controls(corpus, shots, episodes)
            for name, learn, params in methods:
                yield trial.method(name, learn, params, corpus, shots, episodes)


def table(outcomes: Sequence[Outcome], head: str) -> Iterator[str]:
    """Markdown: every method, and for each corpus and number of shots what the head saves of the false rejects of the
    control that does best there."""
    yield "| corpus | K | method | ACC@1%FAR | ACC@5%FAR | closed set |"
    yield "|---|---|---|---|---|---|"
    yield from map(str, outcomes)
    yield ""
    yield f"| corpus | K | best control | its ACC@1%FAR | saved of its false rejects by {head} |"
    yield "|---|---|---|---|---|"
    for corpus, shots in dict.fromkeys((outcome.corpus, outcome.shots) for outcome in outcomes):
        here = {o.method: o for o in outcomes if (o.corpus, o.shots) == (corpus, shots)}
        best = max((here[name] for name in CONTROLS), key=lambda outcome: np.mean(outcome.at_1))
        saved = here[head].over(best).signed
        yield f"| {corpus} | {shots} | {best.method} | {np.mean(best.at_1):.3f} | {saved} |"
