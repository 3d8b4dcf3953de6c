import numpy as np
import pytest

from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import find_utterance
from speakerd.demo.truth import lessons
from speakerd.house import Mind
from speakerd.recognition.scoring import Matcher, prototypes, scores
from speakerd.recognition.world import NEAREST, Matrix, unit
from speakerd.store.knowledge import Command
from tests.recognition.worlds import around, vectors, world

CENTRES = vectors(6, 10)


def command(name: str, matrix: Matrix, speakers: tuple[str | None, ...] = (None,), threshold: float = 0.3) -> Command:
    return Command(name, None, threshold, 0.1, 0.1, False, matrix, speakers)


COMMANDS = tuple(command(f"command {i}", CENTRES[i : i + 1]) for i in range(6))


# -- prototypes


def test_examples_become_their_mean() -> None:
    examples = around(CENTRES[0], 3, 0.4, 11)
    matrix, whose = prototypes(examples, [None, None, None])
    assert whose == (None,)
    assert np.allclose(matrix, unit(examples.mean(axis=0, keepdims=True)), atol=1e-6)


@pytest.mark.parametrize("speakers", [["Anna", "Anna", "Anna"], ["Anna", None, "Anna"]])
def test_a_single_person_has_no_prototype_of_their_own(speakers: list[str | None]) -> None:
    matrix, whose = prototypes(around(CENTRES[0], 3, 0.4, 11), speakers)
    assert matrix.shape == (1, CENTRES.shape[1])
    assert whose == (None,)


def test_people_who_are_named_have_prototypes_of_their_own() -> None:
    examples = around(CENTRES[0], 5, 0.4, 11)
    matrix, whose = prototypes(examples, ["Jörg", "Anna", None, "Jörg", None])
    assert whose == ("Anna", "Jörg", None)
    for row, members in zip(matrix, [[1], [0, 3], [2, 4]], strict=True):
        assert np.allclose(row, unit(examples[members].mean(axis=0)), atol=1e-6)


# -- scores


def test_score_is_the_cosine_less_how_near_strangers_are_to_both() -> None:
    small, utterances = world(), vectors(4, 12)
    found = scores(small, utterances, CENTRES, small.nearness(CENTRES))

    def near(vector: Matrix) -> float:
        return float(np.mean(sorted(small.cohort @ vector)[-NEAREST:]))

    for i, utterance in enumerate(utterances):
        for j, centre in enumerate(CENTRES):
            expected = float(utterance @ centre) - (near(utterance) + near(centre)) / 2
            assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_what_sounds_like_everything_scores_lower() -> None:
    crowd = vectors(1, 20)
    crowded = world(cohort=np.concatenate([vectors(200, 1), around(crowd, 100, 0.5, 21)]))
    lonely, popular = command("lonely", CENTRES[:1]), command("popular", crowd)
    for taught in (lonely, popular):
        itself = Matcher(crowded, (taught,)).match(taught.prototypes[0])
        assert itself is not None
        assert (itself.score > 0.5) is (taught is lonely)


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
    strict = command("strict", CENTRES[:1], threshold=9.0)
    loose = command("loose", CENTRES[1:2], threshold=-9.0)
    matcher = Matcher(world(), (strict, loose))
    for centre, name, accepted in ((CENTRES[0], "strict", False), (CENTRES[1], "loose", True)):
        match = matcher.match(centre)
        assert match is not None
        assert (match.command, match.accepted) == (name, accepted)


def test_speaker_is_the_one_whose_prototype_is_nearest() -> None:
    family = command("lamp", CENTRES[:3], ("Anna", "Jörg", None))
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
    heard = {}
    for name, paths in lessons().items():
        utterances = [find_utterance(read_audio(path)) for path in paths]
        assert None not in utterances
        heard[name] = np.stack([mind.encoder.embed(one) for one in utterances if one is not None])
    taught = [command(name, prototypes(mind.world.whiten(each), [None] * 3)[0]) for name, each in heard.items()]
    matcher = Matcher(mind.world, tuple(taught))
    right = sum(matcher.match(one).command == name for name, each in heard.items() for one in each)
    assert right >= 8
