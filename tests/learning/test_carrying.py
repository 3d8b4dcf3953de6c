"""A household's commands carried to another speaker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speakerd.config import Config, Enrolment
from speakerd.house import Mind
from speakerd.learning.carrying import packed, take_in
from speakerd.learning.household import EnrolmentError, Household
from speakerd.learning.takes import judge_recording
from speakerd.store.bundle import pack, unpack
from speakerd.store.knowledge import Command
from tests.running import LAMP, NIGHT, QUIETER, clip


def house(mind: Mind, folder: Path, *names: str, keep_audio: bool = True, who: str | None = None) -> Household:
    household = mind.household(folder, Config(enrolment=Enrolment(keep_audio=keep_audio)))
    for name in names:
        takes = [judge_recording(f"{i}.wav", clip(name, i), Config().gate) for i in range(3)]
        household.enroll(name, takes, action="lamp", who=who)
    return household


def known(household: Household) -> list[str]:
    return [command.name for command in household.knowledge.commands]


def found(household: Household, name: str) -> Command:
    command = household.knowledge.find(name)
    assert command is not None
    return command


def test_elsewhere_it_is_the_same_and_undo_takes_it_back_at_once(mind: Mind, tmp_path: Path) -> None:
    here, there = house(mind, tmp_path / "a", LAMP, NIGHT, who="Zoë"), house(mind, tmp_path / "b", QUIETER)
    versions = len(there.history())
    commands, again = take_in(there, unpack(pack(packed(here))))
    assert ([command.name for command in commands], again) == (sorted([LAMP, NIGHT]), [])
    assert known(there) == sorted([LAMP, NIGHT, QUIETER])
    assert len(there.history()) == versions + 1
    for command in commands:
        original = found(here, command.name)
        np.testing.assert_allclose(command.heads.weights, original.heads.weights, atol=1e-5)
        assert (command.action, len(command.examples)) == (original.action, len(original.examples))
        assert [e.speaker for e in there.examples.of(command)] == ["Zoë"] * 3
        np.testing.assert_array_equal(there.sound(command.examples[0]), here.sound(original.examples[0]))
    there.undo()
    assert known(there) == [QUIETER]


def test_a_command_that_is_known_is_replaced(mind: Mind, tmp_path: Path) -> None:
    here, there = house(mind, tmp_path / "a", LAMP), house(mind, tmp_path / "b", LAMP, NIGHT)
    before = found(there, LAMP)
    take_in(there, packed(here))
    assert known(there) == sorted([LAMP, NIGHT])
    assert len(found(there, LAMP).examples) == 3
    assert not set(found(there, LAMP).examples) & set(before.examples)


def test_of_another_encoder_the_audio_is_heard_again(mind: Mind, tmp_path: Path) -> None:
    here, there = house(mind, tmp_path / "a", LAMP), house(mind, tmp_path / "b")
    foreign = replace(packed(here), encoder="another")
    take_in(there, foreign)
    np.testing.assert_allclose(found(there, LAMP).heads.weights, found(here, LAMP).heads.weights, atol=0.02)


def test_without_audio_only_the_same_encoder_can_use_it(mind: Mind, tmp_path: Path) -> None:
    silent, sounding = house(mind, tmp_path / "a", LAMP, keep_audio=False), house(mind, tmp_path / "b", NIGHT)
    there = house(mind, tmp_path / "c")
    without, bundle = packed(silent), packed(sounding)
    take_in(there, without)
    assert known(there) == [LAMP]
    both = replace(bundle, encoder="another", commands=bundle.commands + without.commands)
    commands, again = take_in(there, both)
    assert ([command.name for command in commands], again) == ([NIGHT], [LAMP])
    with pytest.raises(EnrolmentError, match="teach them again here"):
        take_in(there, replace(without, encoder="another"))
    assert known(there) == sorted([LAMP, NIGHT]), "and what was known stays"


def test_whoever_keeps_no_audio_keeps_none_that_is_brought(mind: Mind, tmp_path: Path) -> None:
    here, there = house(mind, tmp_path / "a", LAMP), house(mind, tmp_path / "b", keep_audio=False)
    take_in(there, packed(here))
    with pytest.raises(EnrolmentError, match="no sound was kept"):
        there.sound(found(there, LAMP).examples[0])


def test_nothing_taught_is_nothing_to_carry(mind: Mind, tmp_path: Path) -> None:
    with pytest.raises(EnrolmentError, match="nothing has been taught yet"):
        packed(house(mind, tmp_path))
