"""Meta-training: from an encoder and recordings to ``adapt.onnx`` and the learned space, in some minutes on one core.

One loop trains every method of the family, each on the same kind of episodes. What ships is ANIL with the Proto-MAML
start and learned step sizes; the others stand beside it in the table.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix
from speakerd.training.data import Corpora, read_corpora
from speakerd.training.meta import anil, fomaml, maml, prototypical, reptile, siamese, triplet
from speakerd.training.meta.cache import HELD, ONCE, Cache, hear
from speakerd.training.meta.episodes import Episode, Episodes
from speakerd.training.meta.export import export
from speakerd.training.meta.inner import Learn, Params, Task, first_params, moved
from speakerd.training.meta.multistep import step_weights
from speakerd.training.meta.outer import outer_losses
from speakerd.training.meta.rates import one_for_all
from speakerd.training.meta.space import first_space
from speakerd.training.meta.start import prototypes

log = logging.getLogger(__name__)

ITERATIONS = 200
BATCH = 4
RATE, METRIC_RATE = 0.03, 2e-3
ONCE_SHARE = 0.3  # of episodes, of words recorded once; the rest is of held-out words said by many
STAY = 0.02  # how strongly the metric is held to the first space
# How scores are taken relative to strangers is set, not learned: in episodes of few words the outer loop unlearns it,
# and on the development words that costs one to three points of ACC@1%FAR.
SET = frozenset({"lean", "typical", "likelihood", "within"})

Objective = Callable[[Params, Episode, float], Tensor]


@dataclass(frozen=True)
class Head:
    """What meta-training makes: ``params`` of the inner loop and, for the encoder's embeddings, the ``mean``
    (dimension,) and ``matrix`` (dimension, dimension) of the learned space, which take the place of the world's mean
    and whitening."""

    params: Params
    mean: Matrix
    matrix: Matrix


def through_steps(learn: Learn, multi_step: bool = True) -> Objective:
    """The outer objective of a method with an inner loop: of each step at first, of the last alone in the end."""

    def objective(params: Params, episode: Episode, done: float) -> Tensor:
        learned = learn(params, episode.task)
        if not multi_step:
            return outer_losses(params, learned[-1:], episode)[0]
        return torch.stack(outer_losses(params, learned, episode)) @ step_weights(len(learned) - 1, done)

    return objective


def by_metric(loss: Callable[[Params, Episode], Tensor]) -> Objective:
    """The objective of a method that learns the metric alone."""
    return lambda params, episode, _: loss(params, episode)


# Each with the names of its parameters that are not learned.
METHODS: dict[str, tuple[Objective, Callable[[Params], set[str]]]] = {
    "prototypical": (by_metric(prototypical.loss), lambda params: set(params) - {"metric"}),
    "siamese": (by_metric(siamese.loss), lambda params: set(params) - {"metric"}),
    "triplet": (by_metric(triplet.loss), lambda params: set(params) - {"metric"}),
    "maml": (through_steps(maml.learn), lambda _: set(SET)),
    "fomaml": (through_steps(fomaml.learn), lambda _: set(SET)),
    "anil, one step size": (through_steps(anil.learn), lambda params: set(SET) | one_for_all(params)),
    "anil, last step only": (through_steps(anil.learn, multi_step=False), lambda _: set(SET)),
    "anil": (through_steps(anil.learn), lambda _: set(SET)),
}
LEARN: dict[str, Learn] = {"maml": maml.learn, "fomaml": fomaml.learn}
SHIPPED = "anil"


def learned(
    objective: Objective, fixed: set[str], episodes: Episodes, iterations: int = ITERATIONS, batch: int = BATCH
) -> tuple[Params, list[float]]:
    """Parameters after so many steps of Adam, and the objective at each of them."""
    params = {
        name: value.clone().requires_grad_(name not in fixed)
        for name, value in first_params(episodes.vectors.shape[1]).items()
    }
    numbers = [value for name, value in params.items() if value.requires_grad and name != "metric"]
    metric = [params["metric"]] if params["metric"].requires_grad else []
    groups = [{"params": numbers, "lr": RATE}, {"params": metric, "lr": METRIC_RATE}]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    course = []
    for i in range(iterations):
        optimizer.zero_grad()
        loss = torch.stack([objective(params, draw(episodes), i / iterations) for _ in range(batch)]).mean()
        (loss + STAY * params["metric"].square().sum()).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(numbers + metric, 1.0)
        optimizer.step()
        schedule.step()
        course.append(float(loss.detach()))
    return {name: value.detach() for name, value in params.items()}, course


def learned_by_reptile(episodes: Episodes, iterations: int = ITERATIONS, rate: float = 0.5) -> Params:
    """The parameters that Reptile arrives at."""
    params = first_params(episodes.vectors.shape[1])
    for i in range(iterations):
        params = reptile.step(params, draw(episodes), rate * (1 - i / iterations))
    return params


def draw(episodes: Episodes) -> Episode:
    once = not episodes.classes[HELD] or episodes.draw.random() < ONCE_SHARE
    return episodes(ONCE if once and episodes.classes[ONCE] else HELD)


def meta_train(
    encoder: Encoder, data: Path | Corpora, path: Path, seed: int = 0, cache_file: Path | None = None
) -> Head:
    """Hear the recordings below ``data``, learn the head, and write it to ``path``, an adapt.onnx.

    The learned space is for the caller to put into world.npz. ``cache_file`` keeps the embeddings for the next time.

    Raises:
        SpeakerdError: too little was held out of the encoder's training.
        ModelError: ``cache_file`` is of another encoder.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    cache = cached(encoder, data, seed, cache_file)
    mean, matrix = first_space(cache)
    objective, fixed = METHODS[SHIPPED]
    params, course = learned(objective, fixed(first_params(1)), Episodes(cache, mean, matrix, seed))
    tenth = max(1, len(course) // 10)
    log.info("outer loss: %.4f at first, %.4f at last", np.mean(course[:tenth]), np.mean(course[-tenth:]))
    export(params, encoder.id, path)
    metric = params["metric"].numpy()
    return Head(params, mean, np.asarray(matrix @ (np.eye(len(metric), dtype=np.float32) + metric), np.float32))


def family(cache: Cache, seed: int = 0, iterations: int = ITERATIONS) -> Iterator[tuple[str, Learn, Params]]:
    """Every method, trained alike: its name, how it learns a command, and its parameters. Those that learn a metric
    alone, Reptile among them, have prototypes in it."""
    mean, matrix = first_space(cache)
    yield "no step", without_steps, first_params(cache.vectors.shape[1])
    for name, (objective, fixed) in METHODS.items():
        params, _ = learned(objective, fixed(first_params(1)), Episodes(cache, mean, matrix, seed), iterations)
        yield name, LEARN.get(name, anil.learn if name.startswith(SHIPPED) else without_steps), params
    yield "reptile", without_steps, learned_by_reptile(Episodes(cache, mean, matrix, seed), iterations)


def without_steps(params: Params, task: Task) -> list[Params]:
    """The start alone: prototypes, relative to strangers."""
    one = moved(task, params["metric"], params)
    return [prototypes(params, one) | {"metric": params["metric"]}]


def cached(encoder: Encoder, data: Path | Corpora, seed: int, file: Path | None) -> Cache:
    """The embeddings in ``file``; where there is none, what the encoder hears, kept in ``file``."""
    if file is not None and file.exists():
        return Cache.load(file, encoder.id)
    cache = hear(encoder, read_corpora(data) if isinstance(data, Path) else data, seed)
    if file is not None:
        cache.save(file)
    return cache
