"""The inner loop: its gradients, its start, and what one command may do to another."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.func import grad, jacrev

from speakerd.recognition.course import unit
from speakerd.recognition.head import NEAREST
from speakerd.training.meta import anil, fomaml, maml
from speakerd.training.meta.cache import HELD
from speakerd.training.meta.inner import (
    Learn,
    Params,
    Task,
    first_params,
    moved,
    nearness,
    open_set_loss,
    scores,
    strangers,
)
from speakerd.training.meta.start import prototypes
from tests.training.meta.conftest import STEPS, Heard
from tests.training.meta.tasks import DIMENSION, task, vectors


def in_double(params: Params, one: Task) -> tuple[Params, Task]:
    parts = {name: getattr(one, name).double() for name in ("support", "member", "others", "share", "near")}
    return {name: value.double() for name, value in params.items()}, Task(**parts)


@pytest.mark.parametrize("part", ["w", "b"])
def test_inner_slope_is_the_numerical_derivative(params: Params, part: str) -> None:
    # how hard each stranger is counts as a constant: here all are equally hard, so that it is one
    params, one = in_double(params | {"hardness": torch.tensor(-40.0)}, task(params, 3, 4))
    head = prototypes(params, one)
    loss = open_set_loss(params, one, head)
    slope, step = grad(loss)(head)[part], 1e-6
    along = torch.randn(slope.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    up, down = (loss(head | {part: head[part] + sign * step * along}) for sign in (1, -1))
    assert float((up - down) / (2 * step)) == pytest.approx(float((slope * along).sum()), rel=1e-6)


@pytest.mark.parametrize("name", ["scale", "reach", "limit", "balance", "trust", "pull", "step_w", "step_b"])
def test_outer_slope_is_the_numerical_derivative(params: Params, name: str) -> None:
    """Through all steps of the inner loop, to second order."""
    # where the weights of the hardest do not depend on the head, nothing is taken for a constant
    even = params | {"hardness": torch.tensor(-40.0), "scale": torch.tensor(1.0)}
    even, one = in_double(even, task(even, 3, 4))

    def outer(value: torch.Tensor) -> torch.Tensor:
        head = anil.adapt(even | {name: value}, one)[-1]
        return head["w"].square().mul(torch.arange(float(DIMENSION))).sum() + head["b"].sum()

    slope, step = grad(outer)(even[name]), 1e-5
    up, down = outer(even[name] + step), outer(even[name] - step)
    assert float((up - down) / (2 * step)) == pytest.approx(float(slope.sum()), rel=1e-4)


def test_first_order_leaves_out_what_the_second_order_knows(params: Params) -> None:
    one = task(params, 3, 4, others=150)
    params = params | {"step_metric": torch.full((STEPS,), -2.0)}

    def after(learn: Learn, steps: int) -> torch.Tensor:
        fewer = params | {"pull": params["pull"][:steps]}
        return jacrev(lambda metric: learn(fewer | {"metric": metric}, one)[-1]["metric"].sum())(fewer["metric"])

    # without a step there is no slope to differentiate; with steps the slopes depend on where they are taken
    assert torch.allclose(after(maml.learn, 0), after(fomaml.learn, 0))
    first, second = after(fomaml.learn, STEPS), after(maml.learn, STEPS)
    assert torch.allclose(first, torch.ones_like(first), atol=1e-5), "with constant slopes the metric moves as a whole"
    assert (first - second).abs().max() > 1e-3
    assert torch.allclose(maml.learn(params, one)[-1]["metric"], fomaml.learn(params, one)[-1]["metric"], atol=1e-6), (
        "what is learned is the same; only the outer loop sees less"
    )


def test_no_step_is_the_prototype_classifier(heard: Heard) -> None:
    """As in recognisers of speakers: above the nearest strangers, in their deviations, seen from both."""
    params = first_params(DIMENSION) | {"likelihood": torch.tensor(0.0)}
    episode = heard.episodes()(HELD, ways=4, shots=3)
    one = moved(episode.task, params["metric"], params)
    found = scores(anil.adapt(params, one)[0], episode.tried, strangers(params, episode.tried, one.others, one.share))
    tried, others = episode.tried.numpy(), one.others.numpy()
    matrix = unit((one.member.T @ one.support).numpy())
    for i, utterance in enumerate(tried):
        for j, prototype in enumerate(matrix):
            expected = 0.0
            for name, one_of_both in (("lean", utterance), ("typical", prototype)):
                nearest = np.sort(others @ one_of_both)[-NEAREST:]
                expected += float(params[name]) * float(utterance @ prototype - nearest.mean()) / float(nearest.std())
            assert float(found[i, j]) == pytest.approx(expected, abs=5e-3)


def test_the_likelihood_of_the_start_is_that_of_normal_distributions(heard: Heard) -> None:
    """Of a command whose mean is known from its examples, against the world, unit vectors taken for unit variance."""
    params = first_params(DIMENSION) | {name: torch.tensor(0.0) for name in ("lean", "typical")}
    episode = heard.episodes()(HELD, ways=3, shots=3)
    one = moved(replace(episode.task, member=(episode.task.member > 0.5).float()), params["metric"], params)
    found = scores(anil.adapt(params, one)[0], episode.tried, strangers(params, episode.tried, one.others, one.share))
    scale = DIMENSION**0.5
    tried, count = episode.tried.numpy() * scale, one.member.sum(dim=0).numpy()
    means = (one.member.T @ one.support).numpy() / count[:, None] * scale
    for j, (mean, many) in enumerate(zip(means, count, strict=True)):
        gain = many * 0.5 / (many * 0.5 + 0.5)
        variance = 0.5 + (1 - gain) * 0.5
        of_command = -0.5 * (np.square(tried - gain * mean).sum(axis=1) / variance + DIMENSION * np.log(variance))
        of_world = -0.5 * np.square(tried).sum(axis=1)
        worth = float(params["likelihood"])
        np.testing.assert_allclose(found[:, j].numpy(), worth * (of_command - of_world), atol=2e-3)


def test_nearness_is_of_the_nearest_and_of_nobody_to_himself() -> None:
    some, others = vectors(50, seed=1), vectors(300, seed=2)
    found = nearness(some, others, torch.ones(300))
    nearest = (some @ others.T).sort(dim=1).values[:, -NEAREST:]
    assert torch.allclose(found[:, 0], nearest.mean(dim=1), atol=1e-6)
    assert torch.allclose(found[:, 1], nearest.std(dim=1, correction=0), atol=1e-4)
    among = nearness(others, others, torch.ones(300), themselves=True)
    apart = torch.stack(
        [nearness(o[None], others[torch.arange(300) != i], torch.ones(299))[0] for i, o in enumerate(others)]
    )
    assert torch.allclose(among, apart, atol=1e-5)


@pytest.mark.parametrize("ways", [1, 2, 100])
def test_any_number_of_commands(params: Params, ways: int) -> None:
    one = task(params, ways, 3)
    head = anil.adapt(params, one)[-1]
    assert head["w"].shape == (ways, DIMENSION)
    found = scores(head, one.support, strangers(params, one.support, one.others, one.share))
    strange = scores(head, one.others, one.near)
    assert (found.argmax(dim=1) == one.member.argmax(dim=1)).all()
    assert found.max(dim=1).values.min() > strange.max()


def test_steps_raise_examples_above_strangers(heard: Heard) -> None:
    params = first_params(DIMENSION) | {"step_w": torch.full((5,), -2.5)}
    episodes = heard.episodes()
    for _ in range(10):
        episode = episodes(HELD, shots=3)
        one = moved(episode.task, params["metric"], params)
        first, *_, last = anil.adapt(params, one)
        loss = open_set_loss(params, one, first)
        assert loss(last) < loss(first)


def test_padding_changes_nothing(params: Params) -> None:
    one = task(params, 4, 3)
    padded = Task(
        torch.cat([one.support, vectors(7, seed=9)]),
        torch.cat([one.member, torch.zeros(7, 4)]),
        torch.cat([one.others, vectors(50, seed=8)]),
        torch.cat([one.share, torch.zeros(50)]),
        torch.cat([one.near, torch.ones(50, 2)]),
    )
    for part, value in anil.adapt(params, one)[-1].items():
        assert torch.allclose(value, anil.adapt(params, padded)[-1][part], atol=1e-5)


def test_examples_that_count_twice_are_examples_given_twice(params: Params) -> None:
    one = task(params, 3, 2)
    weighed = replace(one, member=one.member * torch.tensor([2.0, 1, 1, 1, 2, 1])[:, None])
    again = torch.tensor([0, 0, 1, 2, 3, 4, 4, 5])
    twice = replace(one, support=one.support[again], member=one.member[again])
    for part, value in anil.adapt(params, weighed)[-1].items():
        assert torch.allclose(value, anil.adapt(params, twice)[-1][part], atol=1e-5)


def test_one_more_command_leaves_the_others_as_they_are(heard: Heard, params: Params) -> None:
    episode = heard.episodes()(HELD, ways=5, shots=3)
    everything = moved(episode.task, params["metric"], params)
    four = everything.member[:, :4]
    fewer = replace(everything, member=four[four.sum(dim=1) > 0], support=everything.support[four.sum(dim=1) > 0])
    off = strangers(params, everything.others, everything.others, everything.share, themselves=True)
    more, less = (scores(anil.adapt(params, one)[-1], everything.others, off)[:, :4] for one in (everything, fewer))
    assert torch.allclose(more, less, atol=1e-5)
