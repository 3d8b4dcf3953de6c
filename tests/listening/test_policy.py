from pathlib import Path

from speakerd.config import Config, Listening, Requirement
from speakerd.events import Detection, Samples
from speakerd.house import Mind
from speakerd.learning.takes import judge_recording
from speakerd.listening.loop import Loop
from speakerd.listening.policy import Policy, unmet
from speakerd.listening.spotter import Spotter
from tests.listening.test_mute import Recording
from tests.recordings import clips, said


def heard(command: str, start: float, score: float = 0.5) -> Detection:
    return Detection("x", start + 1, start, command, score, 0.3, score >= 0.3, None, 0.0)


def needing(command: str, required: str, within: float = 8) -> Listening:
    return Listening(requires={command: Requirement(required, within)})


def verdicts(settings: Listening, *detections: Detection) -> list[bool]:
    policy = Policy(settings)
    return [policy.judge(one).accepted for one in detections]


def test_without_rules_the_score_decides() -> None:
    for one in (heard("lamp", 0), heard("lamp", 2, 0.1)):
        assert Policy(Listening()).judge(one) is one


def test_a_command_counts_only_soon_after_the_one_that_it_requires() -> None:
    policy = Policy(needing("lights off", "computer"))
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
    assert Policy(needing("off", "computer")).judge(low) is low


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


def test_a_wake_phrase_arms_another_in_a_stream_of_what_people_said(mind: Mind, tmp_path: Path) -> None:
    misses_nothing = Config(listening=Listening(highest_frr=0.01))
    household = mind.household(tmp_path / "state", misses_nothing)
    said_by = {word: clips(word, 8) for word in ("joke", "dracarys")}
    for word, spoken in said_by.items():
        household.enroll(word, [judge_recording("clip", clip, Config().gate) for clip in spoken[:5]])
    wake, command = said_by["joke"][5:], said_by["dracarys"][5:]

    def accepted(settings: Listening, stream: Samples) -> list[tuple[str, bool]]:
        policy, found = Policy(settings), list[Detection]()
        spotter = Spotter(mind.encoder, mind.world, Config().gate, household.knowledge)
        Loop(Recording(stream), spotter).run(lambda one: found.append(policy.judge(one)))
        return [(one.command, one.accepted) for one in found]

    stream = said(1, command[0], 1, wake[0], 1, command[1], 5, command[2], 1)
    free = accepted(Listening(), stream)
    assert free == [("dracarys", True), ("joke", True), ("dracarys", True), ("dracarys", True)]
    armed = accepted(needing("dracarys", "joke", 3), stream)
    assert armed == [("dracarys", False), ("joke", True), ("dracarys", True), ("dracarys", False)]
