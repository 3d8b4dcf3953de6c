"""Reptile (Nichol et al. 2018, arXiv 1803.02999): no outer gradient at all. The space follows where a plain inner loop
on a whole episode, its utterances to try included, takes it."""

import torch

from speakerd.training.meta import maml
from speakerd.training.meta.episodes import Episode
from speakerd.training.meta.inner import Params, Task


def whole(episode: Episode) -> Task:
    """The task with the utterances to try among the examples."""
    ways = episode.task.member.shape[1]
    named = torch.nn.functional.one_hot(episode.named, ways).float()
    return Task(
        torch.cat([episode.task.support, episode.tried]), torch.cat([episode.task.member, named]),
        episode.task.others, episode.task.share, episode.task.near,
    )  # fmt: skip


def step(params: Params, episode: Episode, rate: float) -> Params:
    """``params`` with the metric moved towards the one that the inner loop arrives at."""
    with torch.no_grad():
        arrived = maml.learn(params, whole(episode), second_order=False)[-1]["metric"]
    return params | {"metric": params["metric"] + rate * (arrived - params["metric"])}
