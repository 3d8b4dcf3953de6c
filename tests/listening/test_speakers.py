"""Who is speaking, in a stream of what several people said."""

from pathlib import Path

import numpy as np
import yaml

from speakerd.config import Config, Listening
from speakerd.control.messages import Enroll, Recording, Snapshot
from speakerd.events import Samples
from speakerd.house import Mind
from speakerd.learning.household import Household
from speakerd.learning.places import voices
from speakerd.learning.takes import judge_recording
from speakerd.listening.speakers import Speakers
from speakerd.listening.spotter import Spotter
from tests.listening.test_spotter import heard
from tests.recordings import said, said_by
from tests.running import LAMP, clip, eventually, speaker

PEOPLE = 4  # and two strangers


def test_people_are_named_and_strangers_are_not(mind: Mind, tmp_path: Path) -> None:
    recordings = list(said_by("dsp20", PEOPLE + 2, 8))
    household = mind.household(tmp_path / "state", Config(listening=Listening(highest_frr=0.01)))
    people, strangers = recordings[:PEOPLE], recordings[PEOPLE:]
    for number, person in enumerate(people):
        household.enroll("word", [judge_recording("clip", c, Config().gate) for c in person[:3]], who=f"p{number}")

    def named(clips: list[Samples]) -> list[str | None]:
        speakers = Speakers(mind.world, voices(household))
        spotter = Spotter(mind.encoder, mind.world, Config().gate, household.knowledge)
        stream = said(1, *(piece for one in clips for piece in (one, 1.0)))
        return [speakers.named(one).speaker for one in heard(spotter, stream) if one.accepted]

    found = [named(person[3:]) for person in people]
    right = sum(who == f"p{number}" for number, names in enumerate(found) for who in names)
    wrong = sum(who not in (None, f"p{number}") for number, names in enumerate(found) for who in names)
    assert right > 2 * wrong
    assert right >= 0.3 * sum(map(len, found)), "three examples each are few, and surely is surely"
    strange = [who for person in strangers for who in named(person)]
    assert sum(who is not None for who in strange) <= 0.5 * len(strange)


def test_voices_travel_with_what_is_known(mind: Mind, tmp_path: Path) -> None:
    household = _two_voices(mind, tmp_path)
    there = Snapshot.of(household.knowledge, voices(household)).speakers()
    assert there.keys() == voices(household).keys() == {"word"}
    np.testing.assert_array_equal(there["word"].centres, voices(household)["word"].centres)
    assert there["word"].names == voices(household)["word"].names == ("p0", "p1")


def _two_voices(mind: Mind, folder: Path) -> Household:
    household = mind.household(folder / "state", Config())
    for number, person in enumerate(said_by("dsp20", 2, 3)):
        takes = [judge_recording("clip", c, Config().gate) for c in person[:3]]
        household.enroll("word", takes, who=f"p{number}")
    return household


def test_the_same_command_by_different_people_does_different_things(tmp_path: Path) -> None:
    def touch(name: str) -> dict[str, list[str]]:
        return {"shell": ["touch", str(tmp_path / name)]}

    config = tmp_path / "speakerd.yaml"
    outputs = {"actions": {"all": touch("all"), "hers": touch("hers")}, "on": {LAMP: ["all"]}}
    config.write_text(yaml.safe_dump({"outputs": {**outputs, "by": {"Ada": {LAMP: ["hers"]}}}}))
    with speaker(tmp_path, "--config", config) as running:
        for voice, name in enumerate(("Ada", "Bob")):
            samples = [gain * clip(LAMP, voice) for gain in (1.0, 0.7, 0.5)]
            running.ask(Enroll(LAMP, [Recording("x", one.astype("<f4").tobytes()) for one in samples], speaker=name))
        watching = running.watch()
        running.say(0.8 * clip(LAMP, 0))
        assert watching.until("command")["speaker"] == "Ada"
        eventually((tmp_path / "hers").exists)
        assert not (tmp_path / "all").exists()
        running.say(0.8 * clip(LAMP, 1))
        assert watching.until("command")["speaker"] == "Bob"
        eventually((tmp_path / "all").exists)
