"""Rooms: echoes when and as loud as geometry says, and what they leave of a word."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.audio.segmenter import decibels
from speakerd.errors import SpeakerdError
from speakerd.evaluation.rooms import NEAR, ROOMS, SOUND, Box, room, softer
from tests.cli.conftest import Call
from tests.evaluation.test_few_shot import lines
from tests.running import CLIPS, clip

WORD = next(iter(CLIPS))


def test_direct_sound_and_first_echo_are_where_they_belong() -> None:
    hall = Box((200.0, 200.0, 40.0), (100.0, 100.0, 2.0), (103.0, 100.0, 2.0), 3.0)  # but for the floor, far away
    response = hall.response()
    floor = np.hypot(3.0, 4.0)
    assert int(np.abs(response).argmax()) == 0
    assert response[0] == pytest.approx(NEAR / 3.0, rel=0.05)
    echo = round((floor - 3.0) / SOUND * 16000)
    assert int(np.abs(response[20:1000]).argmax()) + 20 == echo
    assert 0 < response[echo] < NEAR / floor


@pytest.mark.parametrize("name", ROOMS)
def test_echoes_die_away_as_fast_as_the_room_says(name: str) -> None:
    """Schroeder's backward integral falls by 60 dB in the time of decay."""
    left = np.cumsum(ROOMS[name].response()[::-1].astype(np.float64) ** 2)[::-1]
    fall = 10 * np.log10(left / left[0])
    five, twenty_five = (int(np.argmax(fall < level)) / 16000 for level in (-5, -25))
    assert 3 * (twenty_five - five) == pytest.approx(ROOMS[name].decay, rel=0.4)


def test_across_the_room_it_is_softer_than_in_the_kitchen_and_there_than_near() -> None:
    near = clip(WORD)
    kitchen, far = (decibels(room(name)(near, "key")) for name in ("kitchen", "across-the-room"))
    assert decibels(near) > kitchen > far


def test_measured_responses_count_from_their_direct_sound_and_one_is_drawn_for_each_recording(tmp_path: Path) -> None:
    for i in range(4):
        response = np.zeros(2000)
        response[300], response[300 + 100 * (i + 1)] = 0.5, 0.25
        soundfile.write(tmp_path / f"{i}.wav", response, 16000, subtype="FLOAT")
    click = np.zeros(1000, np.float32)
    click[0] = 0.8
    echoes = {int(np.abs(room(str(tmp_path))(click, key)[1:]).argmax()) + 1 for key in map(str, range(40))}
    assert echoes == {100, 200, 300, 400}
    heard = room(str(tmp_path / "0.wav"))(click, "any")
    assert (heard[0], heard[100]) == (pytest.approx(0.8, abs=1e-3), pytest.approx(0.4, abs=1e-3))
    with pytest.raises(SpeakerdError, match="no room; there are kitchen, across-the-room"):
        room(str(tmp_path / "none"))


def test_softer_is_softer_and_holds_no_more_than_16_bits() -> None:
    samples = clip(WORD)
    heard = softer(-20)(samples, "")
    assert decibels(heard) == pytest.approx(decibels(samples) - 20, abs=0.1)
    assert np.array_equal(heard * 32767, np.round(heard * 32767))
    assert np.abs(softer(80)(samples, "")).max() == 1


def test_a_table_of_what_is_lost(call: Call, data: Path, strange: Path) -> None:
    told = ["eval", "few-shot", "--data", data, "--negatives", strange, "--draws", 4, "--level", -20, "--level", -70]
    told += ["--room", "kitchen"]
    clean, soft, gone, kitchen = lines(call(*told, "--json").stdout)
    assert [line["change"] for line in (clean, soft, gone, kitchen)] == [None, "-20 dB", "-70 dB", "kitchen"]
    assert clean["heard"] >= soft["heard"] > gone["heard"] == 0, "that is below what 16 bits hold"
    assert clean["closed_set"]["mean"] >= kitchen["closed_set"]["mean"] > 0.5
    assert "| kitchen |" in call(*told).stdout
    assert call("eval", "few-shot", "--data", data, "--negatives", strange, "--room", "attic").exit_code == 1
