"""The daemon that speaks, and the one that does not."""

from pathlib import Path

import numpy as np

from speakerd.speaking.tones import HEARD
from tests.running import CLIPS, LAMP, clip, eventually, speaker, speakerd
from tests.speaking.test_mouth import loudness_at, recorded
from tests.system.pulse import Pulse
from tests.test_daemon import settings, teach


def test_a_tone_for_a_detection(pulse: Pulse, tmp_path: Path) -> None:
    config = settings(tmp_path / "speaks.yaml", speaking={"enabled": True, "tone_on_detection": True})
    played = tmp_path / "played"
    speakerd("enroll", LAMP, *CLIPS[LAMP], "--state", tmp_path / "state")
    with speaker(tmp_path, "--config", config, **pulse.env) as running, recorded(pulse, played):
        assert loudness_at(np.fromfile(played, np.float32), HEARD[0]) < 0.01
        running.say(clip(LAMP))
        eventually(lambda: loudness_at(np.fromfile(played, np.float32), HEARD[0]) > 0.1)


def test_nothing_is_loaded_to_speak_where_nothing_is_said(tmp_path: Path) -> None:
    config = settings(tmp_path / "silent.yaml", speaking={"tone_on_detection": True})
    with speaker(tmp_path, "--config", config) as running:
        teach(running, LAMP)
        watching = running.watch()
        running.say(clip(LAMP))
        assert watching.next()
        assert "portaudio" not in Path(f"/proc/{running.process.pid}/maps").read_text()
