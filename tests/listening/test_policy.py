from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from speakerd.config import Config, Listening, Requirement
from speakerd.events import Ambiguous, Detection, Evidence, Samples
from speakerd.house import Mind
from speakerd.learning.takes import judge_recording
from speakerd.listening.loop import Loop
from speakerd.listening.playing import PlayingSwitch
from speakerd.listening.policy import Policy, unmet
from speakerd.listening.spotter import Spotter
from speakerd.store.knowledge import Knowledge
from tests.listening.test_mute import Recording
from tests.recordings import clips, said, talk


def heard(command: str, start: float, score: float = 0.5) -> Detection:
    return Detection("x", start + 1, start, command, score, 0.3, score >= 0.3, None, 0.0)


def needing(command: str, required: str, within: float = 8) -> Listening:
    return Listening(requires={command: Requirement(required, within)})


def verdicts(settings: Listening, *detections: Detection) -> list[bool]:
    policy = Policy(settings, PlayingSwitch())
    return [policy.judge(one).accepted for one in detections]


def test_without_rules_the_score_decides() -> None:
    for one in (heard("lamp", 0), heard("lamp", 2, 0.1)):
        assert Policy(Listening(), PlayingSwitch()).judge(one) is one


def test_a_command_counts_only_soon_after_the_one_that_it_requires() -> None:
    policy = Policy(needing("lights off", "computer"), PlayingSwitch())
    early = policy.judge(heard("lights off", 0))
    assert (early.accepted, early.rule) == (False, "not armed by 'computer' in the 8 s before")
    assert policy.judge(heard("computer", 10)).rule is None  # over at 11
    armed = policy.judge(heard("lights off", 18.9))
    assert (armed.accepted, armed.rule) == (True, "armed by 'computer' in the 8 s before")
    assert policy.judge(heard("lights off", 19.1)).accepted is False
    assert policy.judge(heard("lamp", 30)).accepted, "it requires nothing"


def test_what_was_not_accepted_arms_nothing_and_stays_as_it_is() -> None:
    assert verdicts(needing("off", "computer"), heard("computer", 0, 0.2), heard("off", 2)) == [False, False]
    low = heard("off", 0, 0.1)
    assert Policy(needing("off", "computer"), PlayingSwitch()).judge(low) is low


def test_nothing_stays_armed_where_the_stream_stood_still() -> None:
    policy = Policy(needing("off", "computer"), PlayingSwitch())
    policy.judge(heard("computer", 0))
    policy.interrupted()
    assert not policy.judge(heard("off", 2)).accepted


def test_names_are_compared_as_everywhere() -> None:
    assert verdicts(needing("OFF", "Computer"), heard("computer", 0), heard("off", 2)) == [True, True]


def test_all_but_the_one_that_all_require() -> None:
    everybody = Listening(requires={"*": Requirement("computer", 5), "stop": Requirement("lamp", 5)})
    assert verdicts(everybody, heard("lamp", 0), heard("computer", 2), heard("lamp", 4), heard("stop", 6)) == [
        False, True, True, True,
    ]  # fmt: skip
    assert verdicts(everybody, heard("computer", 0), heard("stop", 2)) == [True, False]


def test_commands_that_nobody_taught_are_told_of_with_the_nearest() -> None:
    settings = Listening(requires={"*": Requirement("komputer"), "lights of": Requirement("Computer")})
    assert list(unmet(settings, ["computer", "lights off"])) == [
        ("*", "no command 'komputer' has been taught, so no other one can be heard; did you mean computer?"),
        ("lights of", "no command 'lights of' has been taught; did you mean lights off?"),
    ]
    assert list(unmet(Listening(), [])) == []


def playing() -> PlayingSwitch:
    switch = PlayingSwitch()
    switch.turn(True)
    return switch


def test_while_the_speaker_plays_a_command_must_be_surer() -> None:
    policy = Policy(Listening(playing_margin=0.4), switch := playing())
    surer = policy.judge(heard("lamp", 0, 0.75))
    assert (surer.accepted, surer.threshold, surer.rule) == (True, 0.7, None)
    unsure = policy.judge(heard("lamp", 4, 0.65))
    assert (unsure.accepted, unsure.threshold) == (False, 0.7)
    assert unsure.rule == "playing: 0.4 more is needed while the speaker itself plays"
    switch.turn(False)
    assert policy.judge(heard("lamp", 8, 0.65)).accepted


def test_what_is_too_unsure_while_playing_arms_nothing() -> None:
    settings = Listening(playing_margin=0.4, requires={"off": Requirement("computer")})
    policy = Policy(settings, playing())
    assert not policy.judge(heard("computer", 0, 0.5)).accepted
    assert policy.judge(heard("off", 2, 0.9)).rule == "not armed by 'computer' in the 8 s before"


# -- on what people said


@dataclass(frozen=True)
class House:
    """Knows two commands, of which ``asks`` holds recordings that it was not taught with."""

    mind: Mind
    knowledge: Knowledge
    asks: dict[str, list[Samples]]

    def hears(self, stream: Samples, settings: Listening, playing: PlayingSwitch) -> list[Detection]:
        policy, found = Policy(settings, playing), list[Detection]()
        spotter = Spotter(self.mind.encoder, self.mind.world, Config().gate, self.knowledge)
        Loop(Recording(stream), spotter).run(lambda one: found.append(policy.judge(one)))
        return found


@pytest.fixture(scope="module")
def house(mind: Mind, tmp_path_factory: pytest.TempPathFactory) -> House:
    misses_nothing = Config(listening=Listening(highest_frr=0.01, false_accepts_per_day=40))
    household = mind.household(tmp_path_factory.mktemp("house") / "state", misses_nothing)
    spoken = {word: clips(word, 8) for word in ("joke", "dracarys")}
    for word, said_by in spoken.items():
        household.enroll(word, [judge_recording("clip", clip, Config().gate) for clip in said_by[:5]])
    return House(mind, household.knowledge, {word: said_by[5:] for word, said_by in spoken.items()})


def test_a_wake_phrase_arms_another_command(house: House) -> None:
    joke, dracarys = house.asks["joke"][0], house.asks["dracarys"]
    stream = said(1, dracarys[0], 1, joke, 1, dracarys[1], 5, dracarys[2], 1)
    order = ["dracarys", "joke", "dracarys", "dracarys"]
    free = house.hears(stream, Listening(), PlayingSwitch())
    assert [one.command for one in free if one.accepted] == order
    armed = house.hears(stream, needing("dracarys", "joke", 3), PlayingSwitch())
    reached = [(one.command, one.accepted) for one in armed if one.score >= one.threshold]
    assert reached == list(zip(order, [False, True, True, False], strict=True))


def test_what_the_speaker_plays_is_less_often_taken_for_a_command(house: House) -> None:
    """Thirty sentences through the loudspeaker; thresholds are so low that many a piece of them passes."""
    low = tuple(replace(command, threshold=command.threshold - 0.8) for command in house.knowledge.commands)
    house = replace(house, knowledge=replace(house.knowledge, commands=low))
    stream = said(*(sentence for sentence in talk(30)), 1, house.asks["joke"][0], 1)
    settings = Listening()
    quiet = [one for one in house.hears(stream, settings, PlayingSwitch()) if one.accepted]
    loud = [one for one in house.hears(stream, settings, playing()) if one.accepted]
    assert len(loud) < len(quiet)
    assert {one.start for one in loud} < {one.start for one in quiet}
    assert loud[-1].command == "joke", "what is sure enough is heard all the same"


# -- too close to call


def scored(lamp: float, night: float) -> Detection:
    names = ("lamp", "night")
    scores, thresholds = np.array([lamp, night], np.float32), np.array([0.3, 0.5], np.float32)
    best = int(scores.argmax())
    evidence = Evidence(names, scores, thresholds, np.zeros(4, np.float32), -30.0, -60.0)
    score, threshold = float(scores[best]), float(thresholds[best])
    return Detection("x", 1, 0, names[best], score, threshold, score >= threshold, None, 0.0, "do", evidence)


@pytest.mark.parametrize(
    ("lamp", "night", "other"),
    [
        (0.7, 0.65, "night"),
        (0.55, 0.52, "night"),
        (0.7, 0.4, None),
        (0.9, 0.6, None),
        (0.6, 0.7, "night"),
        (0.45, 0.4, "night"),  # which is not accepted itself
        (0.35, 0.45, None),  # the best is not accepted
        (0.2, 0.1, None),
    ],
)
def test_two_that_are_close_set_nothing_off(lamp: float, night: float, other: str | None) -> None:
    detection = scored(lamp, night)
    judged = Policy(Listening(), PlayingSwitch()).judge(detection)
    if other is None:
        assert judged is detection
    else:
        assert isinstance(judged, Ambiguous)
        assert {judged.command, judged.other} == {"lamp", "night"}
        assert not judged.accepted
        assert judged.rule == f"too close to call: '{judged.command}' or '{judged.other}'"
        assert (judged.id, judged.evidence) == (detection.id, detection.evidence)


def test_the_next_one_is_what_scores_most_beside_it() -> None:
    """And not what is nearest to its own threshold."""
    scores, thresholds = np.array([2.5, 2.2, 0.9], np.float32), np.array([1.0, 2.5, 1.0], np.float32)
    evidence = Evidence(("a", "b", "c"), scores, thresholds, np.zeros(4, np.float32), -30.0, -60.0)
    assert evidence.next_after("a") == ("b", pytest.approx(2.2))
    assert evidence.too_close("a", 0.29) is None
    assert evidence.too_close("a", 0.31) == "b"
    alone = Evidence(("a",), scores[:1], thresholds[:1], np.zeros(4, np.float32), -30.0, -60.0)
    assert alone.next_after("a") is alone.too_close("a", 1) is None


def test_what_would_not_have_counted_is_not_too_close_to_call() -> None:
    detection = scored(0.7, 0.65)
    armed = Policy(Listening(requires={"*": Requirement("computer")}), PlayingSwitch()).judge(detection)
    assert armed.rule is not None and armed.rule.startswith("not armed")
    quiet = Policy(Listening(playing_margin=0.6), playing()).judge(detection)
    assert quiet.rule is not None and quiet.rule.startswith("playing")
    assert not any(isinstance(one, Ambiguous) or one.accepted for one in (armed, quiet))


def test_what_is_taught_twice_is_too_close_to_call(mind: Mind, tmp_path: Path) -> None:
    household = mind.household(tmp_path / "state", Config())
    takes = [judge_recording("clip", said(0.5, clip, 0.5), Config().gate) for clip in clips("goodnight", 3)]
    household.enroll("one", takes)
    household.enroll("two", takes)
    spotter, found = Spotter(mind.encoder, mind.world, Config().gate, household.knowledge), list[Detection]()
    policy = Policy(Listening(), PlayingSwitch())
    Loop(Recording(said(1, clips("goodnight", 1)[0], 1)), spotter).run(lambda one: found.append(policy.judge(one)))
    assert [sorted([one.command, one.other]) for one in found if isinstance(one, Ambiguous)] == [["one", "two"]]
    assert not any(one.accepted for one in found)
