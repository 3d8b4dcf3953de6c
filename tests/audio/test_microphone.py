"""The microphone on real devices: PulseAudio's, as in a desktop session, and ALSA's own null devices."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.audio.files import read_audio
from speakerd.audio.microphone import Microphone
from speakerd.events import Samples
from tests.audio.recorder import Recorders
from tests.needs import need
from tests.system.pulse import Pulse, need_portaudio

SHARED = Path(__file__).parents[2] / "../shared/data/speech/dev"


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """Three seconds of somebody speaking."""
    if recordings := sorted(SHARED.glob("librispeech-*")):
        spoken = read_audio(recordings[0])
    else:
        need("espeak-ng")
        path = tmp_path_factory.mktemp("speech") / "speech.wav"
        text = "The microphone hears what was said, neither more nor less, and in the same order."
        subprocess.run(["espeak-ng", "-w", str(path), text], check=True)
        spoken = read_audio(path)
    # In silence, since PulseAudio swallows some milliseconds of what begins loud.
    return np.pad(spoken[: 3 * 16000], 4000)


def likeness(heard: Samples, played: Samples) -> float:
    """Pearson's correlation where the two fit best, to a twentieth of a sample."""
    size = 1 << (len(heard) + len(played)).bit_length()
    spectrum = np.fft.rfft(played, size)
    at = int(np.fft.irfft(np.fft.rfft(heard, size) * spectrum.conj())[: len(heard)].argmax())
    heard = heard[at : at + len(played)]
    assert len(heard) > 0.9 * len(played), "it was cut off"
    shifts = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * np.linspace(-1, 1, 41)[:, None])
    shifted = np.fft.irfft(spectrum * shifts, size)[:, : len(heard)]
    return max(float(np.corrcoef(heard, candidate)[0, 1]) for candidate in shifted)


def test_what_is_played_is_heard(pulse: Pulse, record: Recorders, speech: Samples, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "speech.wav", speech, 16000)
    recorder = record(pulse.env)
    recorder.go()
    recorder.until("sound")
    pulse.play(tmp_path / "speech.wav")
    time.sleep(0.5)
    assert recorder.end() == 0
    assert likeness(recorder.sound(), speech) > 0.999
    assert any(line.startswith("log listening on 'default', 44100 Hz, channel mix of 2") for line in recorder.said)


@pytest.mark.parametrize("pulse", [(44100, 2), (48000, 2)], indirect=True)
def test_channel_is_the_one_chosen(pulse: Pulse, record: Recorders, speech: Samples, tmp_path: Path) -> None:
    left, right = speech, speech[::-1]
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), 16000)
    recorders = [record(pulse.env, channel=channel) for channel in ("0", "1", "mix")]
    for recorder in recorders:
        recorder.go()
        recorder.until("sound")
    pulse.play(tmp_path / "stereo.wav")
    time.sleep(0.5)
    wanted: list[Samples] = [left, right, (left + right) * np.float32(0.5)]
    for recorder, expected in zip(recorders, wanted, strict=True):
        recorder.end()
        assert likeness(recorder.sound(), expected) > 0.999


def test_microphone_that_goes_in_mid_stream_is_waited_for(pulse: Pulse, record: Recorders) -> None:
    recorder = record(pulse.env)
    recorder.go()
    recorder.until("sound")
    pulse.stop()
    assert "'default' is gone" in recorder.until("waiting", seconds=3)
    assert "no capture device at all" in recorder.until("waiting no capture", seconds=3)
    pulse.start()
    recorder.until("sound")
    recorder.end()
    assert not [line for line in recorder.said if line.startswith("late")]
    logged = [line for line in recorder.said if line.startswith("log") and "listening" not in line]
    assert [line.split(" (")[0] for line in logged] == ["log no microphone"] * 2 + ["log the microphone is back"]


def test_sound_server_that_hangs_holds_nobody_up(pulse: Pulse, record: Recorders) -> None:
    recorder = record(pulse.env)
    recorder.go()
    recorder.until("sound")
    pulse.freeze()
    recorder.until("waiting no sound arrives from 'default'")
    recorder.until("waiting 'default' has gone silent", seconds=4)
    recorder.until("waiting the sound system does not answer")
    pulse.freeze(False)
    recorder.until("sound")
    pulse.freeze()
    recorder.end()
    assert not [line for line in recorder.said if line.startswith("late")]


@pytest.mark.parametrize("hangs", ["before", "during"])
def test_lesson_without_a_daemon_ends_where_the_sound_server_hangs(pulse: Pulse, tmp_path: Path, hangs: str) -> None:
    if hangs == "before":
        pulse.freeze()
    impatient = "from speakerd.audio import devices; devices.ANSWERS_WITHIN = 2.0; "
    impatient += "from speakerd.learning import lesson; lesson.STARTS_WITHIN = 2.0; "
    impatient += "from speakerd.cli import main; main()"
    enrolling = subprocess.Popen(
        [sys.executable, "-c", impatient, "enroll", "lamp", "--state", tmp_path / "state"], env=pulse.env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert enrolling.stdout is not None
    try:
        if hangs == "during":
            assert "Say “lamp”" in enrolling.stdout.readline().decode()  # it hears something
            pulse.freeze()
        _, told = enrolling.communicate(timeout=30)
    finally:
        enrolling.kill()
    assert enrolling.returncode == 1
    assert b"speakerd: no microphone: " + b"the sound system does not answer" * (hangs == "before") in told


def test_microphone_that_is_listed_but_does_not_open_is_waited_for(pulse: Pulse, record: Recorders) -> None:
    recorder = record(pulse.env)
    recorder.until("ready")
    pulse.stop()
    recorder.go()
    assert re.search("'default' (does not open|is in use)", recorder.until("waiting"))
    recorder.end()


def test_sound_that_nobody_reads_is_dropped_and_counted(pulse: Pulse, record: Recorders) -> None:
    recorder = record(pulse.env, nap=2, QUEUE=1)
    recorder.go()
    recorder.until("sound")
    logged = recorder.until("log sound lost")
    overflows = recorder.end()
    assert 5 <= overflows <= 15  # of the 20 blocks of 0.1 s that came, 10 are kept
    assert logged == f"log sound lost {overflows} times ({overflows} in all): the machine is too busy"


def test_overflow_in_the_device_is_counted() -> None:
    need_portaudio()
    import sounddevice

    microphone = Microphone()
    for flags in (0, 2, 0, 2):  # paInputOverflow
        microphone._take(bytes(4), 1, None, sounddevice.CallbackFlags(flags))
    assert microphone.overflows == 2


def test_other_rates_are_tried_when_the_devices_own_is_refused(pulse: Pulse) -> None:
    program = """
import dataclasses
from speakerd.audio.devices import find_device, open_stream

device = dataclasses.replace(find_device(None), rate=1_000_000)
stream, channels = open_stream(device, 0, lambda *_: None, lambda: None)
print(round(stream.samplerate), channels)
stream.close()
"""
    done = subprocess.run([sys.executable, "-c", program], env=pulse.env, stdout=subprocess.PIPE, text=True, timeout=20)
    assert done.stdout.split() == ["48000", "2"]


@pytest.mark.parametrize(
    ("device", "channel", "reason"),
    [
        ("garage", "mix", "'garage' is not a capture device. I see: 0 'USB PnP Sound Device'"),
        ("kitchen", "128", "there is no channel 128 (the first is 0): 1 'kitchen' (128 channels, 44100 Hz)"),
    ],
)
def test_device_that_does_not_fit_is_waited_for(
    null_devices: dict[str, str], record: Recorders, device: str, channel: str, reason: str
) -> None:
    recorder = record(null_devices, device, channel)
    recorder.go()
    assert reason in recorder.until("waiting")
    time.sleep(1.5)  # until after the second attempt
    recorder.end()
    assert not [line for line in recorder.said if line.startswith("late")]
    assert len([line for line in recorder.said if line.startswith("log")]) == 1


def test_after_a_while_devices_are_listed_anew_only_when_something_came(
    null_devices: dict[str, str], record: Recorders, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    recorder = record(null_devices | {"XDG_RUNTIME_DIR": str(tmp_path / "run")}, "garage", LONGEST_PAUSE=2)
    recorder.go()
    recorder.until("waiting 'garage' is not a capture device")
    time.sleep(1.5)
    with Path(null_devices["ALSA_CONFIG_PATH"]).open("a") as config:
        config.write("pcm.garage { type null }\n")
    with pytest.raises(pytest.fail.Exception):
        recorder.until("sound", seconds=3)
    (tmp_path / "run" / "pipewire-0").touch()
    recorder.until("sound", seconds=3)
    recorder.end()
