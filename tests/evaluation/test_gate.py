"""How much of commands and of rooms the gate lets through, on sounds of which that is known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.config.settings import Gate
from speakerd.evaluation.gate import STRICT, measure, passed
from tests.cli.conftest import Call
from tests.listening.taught import CLIPS, LAMP
from tests.recordings import room, said


def test_frames_of_the_opening_pass_with_pre_roll_and_hangover() -> None:
    through = passed(said(2, CLIPS[LAMP][0], 2), Gate())
    first, last = np.flatnonzero(through)[[0, -1]]
    assert through[first : last + 1].all()
    assert 1.8 < first * 0.02 < 2.6
    assert last * 0.02 < 2 + len(CLIPS[LAMP][0]) / 16000 + 0.4
    earlier = passed(said(2, CLIPS[LAMP][0], 2), Gate(preroll_ms=Gate().preroll_ms + 300))
    assert np.flatnonzero(earlier)[0] == first - 15
    assert not passed(room(5), Gate()).any()


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    (tmp_path / "rooms").mkdir()
    for i in range(3):
        soundfile.write(tmp_path / f"rooms/{i}.wav", room(20, seed=i, level=-50), 16000)
    return tmp_path / "rooms"


def test_commands_pass_and_an_even_room_does_not(tmp_path: Path, quiet: Path) -> None:
    clips = []
    for i, clip in enumerate(clip for several in CLIPS.values() for clip in several):
        clips.append(tmp_path / f"{i}.wav")
        soundfile.write(clips[-1], clip, 16000)
    lines = list(measure(clips, sorted(quiet.iterdir()), Gate(), 10.0, 0))
    assert [(line.aggressiveness, line.voices_only) for line in lines] == [*((s, True) for s in STRICT), (2, False)]
    for line in lines:
        assert line.commands.mean > 0.95
        assert line.commands.low <= line.commands.mean <= line.commands.high
        assert line.rooms.mean < 0.2
        assert (line.clips, line.minutes) == (9, pytest.approx(1.0))
        assert line.kinds == {"rooms": pytest.approx(line.rooms.mean)}


def test_command_line_says_so(call: Call, tmp_path: Path, quiet: Path) -> None:
    (tmp_path / "words/lamp").mkdir(parents=True)
    soundfile.write(tmp_path / "words/lamp/a_nohash_0.wav", CLIPS[LAMP][0], 16000)
    result = call("eval", "gate", "--data", tmp_path / "words", "--noise", quiet)
    assert result.exit_code == 0
    told = [line.split(":")[0] for line in result.stdout.splitlines()]
    by_kind = "    0.0% of rooms"
    assert told == [
        *(f"aggressiveness {strict}" for strict in STRICT[:3]), by_kind, "aggressiveness 3",
        "aggressiveness 2, any sound", by_kind,
    ]  # fmt: skip
    (tmp_path / "nothing").mkdir()
    assert "no recordings" in call("eval", "gate", "--data", tmp_path / "nothing", "--noise", quiet).stderr
