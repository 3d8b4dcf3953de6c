"""The microphone's way and the file's way end in the same detections: one recording, listened to both ways."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speakerd.audio.features import SAMPLE_RATE
from tests import recordings
from tests.system.pulse import Pulse

PROGRAM = [sys.executable, "-m", "speakerd"]
MOVES = 0.4
NEAR = 0.25  # s: which of the windows that hold a command scores best may change; commands are a second apart
TAUGHT = {"hadouken": "hadouken", "dracarys": "Licht aus", "how_are_you": "你好吗"}


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """Three commands are taught; each is said twice in the stream, with read sentences between."""
    pieces: list[Any] = [1.0]
    talk = iter(recordings.talk(len(TAUGHT)))
    for word, name in TAUGHT.items():
        clips = recordings.clips(word, 5)
        for i, clip in enumerate(clips[:3]):
            soundfile.write(tmp_path / f"{word}-{i}.wav", clip, SAMPLE_RATE)
        files = [str(tmp_path / f"{word}-{i}.wav") for i in range(3)]
        subprocess.run([*PROGRAM, "enroll", "--state", str(tmp_path / "state"), name, *files], check=True)
        pieces += [next(talk)[: 3 * SAMPLE_RATE], 1.0, clips[3], 1.0, clips[4], 1.0]
    path = tmp_path / "stream.wav"
    soundfile.write(path, np.clip(recordings.said(*pieces), -1, 1), SAMPLE_RATE)
    return path


def test_what_is_heard_is_what_is_in_the_file(pulse: Pulse, stream: Path, tmp_path: Path) -> None:
    listen = [*PROGRAM, "listen", "--all", "--json", "--state", str(tmp_path / "state")]
    file = subprocess.run([*listen, str(stream)], capture_output=True, text=True, check=True).stdout
    expected = [json.loads(line) for line in file.splitlines()]

    process = subprocess.Popen(listen, env=pulse.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    try:
        for line in process.stderr:
            if "listening on" in line:
                break
        threading.Thread(target=process.stderr.read, daemon=True).start()
        pulse.play(stream)
        time.sleep(1.5)  # the last command's pause, and what lies in buffers
    finally:
        process.terminate()
        heard = [json.loads(line) for line in process.stdout.read().splitlines()]
        process.wait(10)
    # The frames begin somewhere else in the recording, so the gate opens a frame or two earlier or later and scores
    # move, mostly by a few hundredths: what lies near the threshold may be taken on one way only.
    surely = [item for item in expected if item["accepted"] and item["score"] > item["threshold"] + MOVES]
    assert len(surely) >= 2
    first = next(one for one in heard if one["accepted"] and one["command"] == surely[0]["command"])
    shift = first["start"] - surely[0]["start"]  # when the playing began

    def at(items: list[dict[str, Any]], start: float) -> dict[str, Any]:
        return min(items, key=lambda item: abs(item["start"] - start))

    for item in surely:
        same = at(heard, item["start"] + shift)
        assert same["start"] - shift == pytest.approx(item["start"], abs=NEAR)
        assert (same["command"], same["accepted"]) == (item["command"], True)
        assert same["score"] == pytest.approx(item["score"], abs=MOVES)
    for one in (one for one in heard if one["accepted"]):
        same = at(expected, one["start"] - shift)
        assert same["start"] == pytest.approx(one["start"] - shift, abs=NEAR)
        assert same["command"] == one["command"]
        assert same["score"] > same["threshold"] - MOVES
