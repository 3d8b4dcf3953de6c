import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import find_utterance
from speakerd.demo.truth import lessons
from speakerd.house import Mind
from speakerd.learning.enlarge import enlarge
from speakerd.recognition.course import unit
from speakerd.recognition.head import NEAREST, Matrix, scores
from speakerd.recognition.scoring import LEADS, WEIGHTS, Matcher, learned
from speakerd.recognition.world import World, fine
from speakerd.store.knowledge import Command, Heads
from tests.recognition.worlds import DIMENSION, around, vectors, world

CENTRES = vectors(6, 10)
LEAN = 0.105  # of a score, for each deviation above strangers, before anything was meta-learned


def taken(centre: int, many: int, seed: int, variants: int = 6) -> list[Matrix]:
    """Examples about a centre, each with its variants."""
    return [
        np.concatenate([one[None], around(one, variants, 0.3, seed + 10 * (i + 1))])
        for i, one in enumerate(around(CENTRES[centre], many, 0.4, seed))
    ]


def command(name: str, heads: Heads, speakers: tuple[str | None, ...] = (None,), threshold: float = 0.2) -> Command:
    return Command(name, None, threshold, 0.1, 0.1, False, heads, speakers)


def from_one(small: World, *examples: Matrix) -> Heads:
    """Heads that were learned from an example each."""
    heads = [learned(small, [example[None]], [None])[0] for example in examples]
    return Heads(np.concatenate([h.weights for h in heads]), np.concatenate([h.bias for h in heads]))


COMMANDS = tuple(command(f"command {i}", from_one(world(), CENTRES[i])) for i in range(6))


def same(one: Heads, other: Heads) -> bool:
    """To the last bit."""
    return one.to_bytes() == other.to_bytes()


# -- heads


def test_heads_are_the_inner_loop_s_of_all_examples_with_their_variants_against_the_cohort() -> None:
    """A head for each example, which counts for more in it."""
    small, examples = world(), taken(0, 3, 11)
    heads, whose = learned(small, examples, [None] * 3)
    assert whose == (None, None, None)
    assert (heads.weights.shape, heads.bias.shape) == ((3, DIMENSION), (3,))
    counts = np.array([1.0, *WEIGHTS[:6]])
    nobody = np.zeros((0, DIMENSION), np.float32)
    for i in range(3):
        parts = [(1 - LEADS + 3 * LEADS * (i == j)) * counts for j in range(3)]
        member = np.concatenate(parts)[:, None].astype(np.float32)
        expected = small.adapter.adapt(np.concatenate(examples), member, small.cohort, nobody)
        assert heads.weights[i] == pytest.approx(expected.weights[0], abs=1e-5)
        assert heads.bias[i] == pytest.approx(expected.bias[0], abs=1e-5)


def test_what_is_near_one_example_scores_more_than_by_their_mean() -> None:
    small = world()
    apart = [vector[None] for vector in around(CENTRES[0], 3, 1.0, 11)]
    heads, _ = learned(small, apart, [None] * 3)
    nobody = np.zeros((0, DIMENSION), np.float32)
    mean = small.adapter.adapt(np.concatenate(apart), np.ones((3, 1), np.float32), small.cohort, nobody)
    for one in apart:
        near = small.strangers(one)
        assert scores(heads, one, near).max() > scores(mean, one, near).max() + 0.01


def test_five_examples_and_their_variants_count_as_eleven_examples() -> None:
    assert 5 * (1 + sum(WEIGHTS)) == pytest.approx(11)
    small, (one,) = world(), around(CENTRES[0], 1, 0.4, 11)
    heads, _ = learned(small, [np.stack([one] * (1 + len(WEIGHTS)))] * 5, [None] * 5)
    plain, _ = learned(small, [one[None]] * 11, [None] * 11)
    assert heads.weights[0] == pytest.approx(plain.weights[0], abs=1e-5)
    assert heads.bias[0] == pytest.approx(plain.bias[0], abs=1e-5)


def test_variants_draw_the_head_towards_them() -> None:
    small, (one,), elsewhere = world(), taken(0, 1, 11, variants=0), vectors(1, 99)
    plain, enlarged = (learned(small, [example], [None])[0] for example in (one, np.concatenate([one, elsewhere])))
    towards, away = (elsewhere @ heads.weights[0] for heads in (enlarged, plain))
    assert towards > away + 0.02


def test_order_of_examples_does_not_matter() -> None:
    small, examples = world(), taken(0, 4, 11)
    heads, _ = learned(small, examples, [None] * 4)
    turned, _ = learned(small, examples[::-1], [None] * 4)
    assert turned.weights[::-1] == pytest.approx(heads.weights, abs=1e-5)


def test_examples_score_above_strangers() -> None:
    small = world()
    for centre in range(6):
        heads, _ = learned(small, taken(centre, 3, 11), [None] * 3)
        next_ones = around(CENTRES[centre], 20, 0.4, 77)
        found = scores(heads, next_ones, small.strangers(next_ones)).max(axis=1)
        against = scores(heads, fine(small.impostors.vectors), small.near_impostors).max(axis=1)
        assert found.min() > np.quantile(against, 0.95)


@pytest.mark.parametrize("speakers", [["Anna", "Anna", "Anna"], ["Anna", None, "Anna"]])
def test_a_single_person_has_no_heads_of_their_own(speakers: list[str | None]) -> None:
    small, examples = world(), taken(0, 3, 11)
    heads, whose = learned(small, examples, speakers)
    assert whose == (None, None, None)
    assert same(heads, learned(small, examples, [None] * 3)[0])


def test_people_who_are_named_have_heads_of_their_own() -> None:
    small, examples = world(), taken(0, 5, 11)
    heads, whose = learned(small, examples, ["Jörg", "Anna", None, "Jörg", None])
    assert whose == ("Anna", "Jörg", "Jörg", None, None)
    for first, members in zip((0, 1, 3), ([1], [0, 3], [2, 4]), strict=True):
        alone, _ = learned(small, [examples[m] for m in members], [None] * len(members))
        own = slice(first, first + len(members))
        assert same(Heads(heads.weights[own], heads.bias[own]), alone)


# -- scores


def test_score_is_what_the_head_says_and_how_far_the_utterance_lies_above_strangers() -> None:
    small, utterances = world(), vectors(4, 12)
    for utterance in utterances:
        match = Matcher(small, COMMANDS).match(utterance)
        assert match is not None
        nearest = np.sort(small.cohort @ utterance)[-NEAREST:]
        for j, one in enumerate(COMMANDS):
            (weights,), (bias,) = one.heads.weights, one.heads.bias
            above = float(utterance @ unit(weights) - nearest.mean()) / math.sqrt(nearest.var() + 1e-6)
            expected = float(utterance @ weights + bias) + LEAN * above
            assert match.scores[f"command {j}"] == pytest.approx(expected, abs=1e-5)


def test_utterances_are_placed_in_the_world_s_space() -> None:
    turned = world(mean=0.2 * vectors(1, 4)[0], matrix=vectors(DIMENSION, 5))
    matcher, plain = Matcher(turned, COMMANDS), Matcher(world(), COMMANDS)
    for utterance in vectors(5, 12):
        placed, given = matcher.match(utterance), plain.match(turned.place(utterance))
        assert placed is not None
        assert given is not None
        assert placed.scores == pytest.approx(given.scores, abs=1e-5)


def test_what_sounds_like_everything_scores_lower() -> None:
    crowd = vectors(1, 20)[0]
    crowded = world(cohort=np.concatenate([vectors(200, 1), around(crowd, 100, 0.5, 21)]))

    def itself(centre: Matrix) -> float:
        match = Matcher(crowded, (command("word", from_one(crowded, centre)),)).match(centre)
        assert match is not None
        return match.score

    lonely, popular = from_one(crowded, CENTRES[0]).bias.item(), from_one(crowded, crowd).bias.item()
    assert popular < lonely - 0.05  # strangers near the command
    assert itself(crowd) < itself(CENTRES[0])


@pytest.mark.parametrize("others", [(), (1,), (3, 1, 2), (5, 4, 3, 2, 1)])
def test_teaching_other_commands_leaves_scores_as_they_are(others: tuple[int, ...]) -> None:
    small = world()
    alone = Matcher(small, COMMANDS[:1])
    among = Matcher(small, (*(COMMANDS[i] for i in others), COMMANDS[0]))
    for utterance in vectors(50, 13):
        one, many = alone.match(utterance), among.match(utterance)
        assert one is not None
        assert many is not None
        assert many.scores["command 0"] == pytest.approx(one.score, abs=1e-6)
        assert set(many.scores) == {"command 0", *(f"command {i}" for i in others)}


def test_best_command_is_named_also_where_it_is_not_accepted() -> None:
    matcher = Matcher(world(), COMMANDS)
    for i, centre in enumerate(CENTRES):
        match = matcher.match(centre)
        assert match is not None
        assert match.command == f"command {i}"
        assert match.score == max(match.scores.values())
        assert match.accepted
    stranger = matcher.match(-unit(CENTRES.sum(axis=0)))
    assert stranger is not None
    assert not stranger.accepted
    assert stranger.score == max(stranger.scores.values())


def test_threshold_is_the_best_command_s_own() -> None:
    strict = command("strict", COMMANDS[0].heads, threshold=9.0)
    loose = command("loose", COMMANDS[1].heads, threshold=-9.0)
    matcher = Matcher(world(), (strict, loose))
    for centre, name, accepted in ((CENTRES[0], "strict", False), (CENTRES[1], "loose", True)):
        match = matcher.match(centre)
        assert match is not None
        assert (match.command, match.accepted) == (name, accepted)


def test_speaker_is_the_one_whose_head_scores_highest() -> None:
    family = command("lamp", from_one(world(), *CENTRES[:3]), ("Anna", "Jörg", None))
    matcher = Matcher(world(), (COMMANDS[4], family, COMMANDS[5]))
    for centre, speaker in zip(CENTRES, ("Anna", "Jörg", None), strict=False):
        match = matcher.match(around(centre, 1, 0.3, 14)[0])
        assert match is not None
        assert (match.command, match.speaker) == ("lamp", speaker)
        assert match.scores["lamp"] == match.score


def test_nothing_matches_where_nothing_is_known() -> None:
    assert Matcher(world(), ()).match(vectors(1, 1)[0]) is None


# -- on sound


def test_bundled_phrases_match_themselves(mind: Mind) -> None:
    def heard(paths: Sequence[Path]) -> list[Matrix]:
        found = [one for one in map(find_utterance, map(read_audio, paths)) if one is not None]
        assert len(found) == len(paths)
        return [np.stack([mind.encoder.embed(each) for each in (one, *enlarge(one))]) for one in found]

    said = {name: heard(paths) for name, paths in lessons().items()}
    taught = tuple(
        command(name, *learned(mind.world, [mind.world.place(one) for one in each], [None] * len(each)))
        for name, each in said.items()
    )
    found = [(Matcher(mind.world, taught).match(one[0]), name) for name, each in said.items() for one in each]
    assert sum(match is not None and match.command == name for match, name in found) >= 8
