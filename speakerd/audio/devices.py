"""Sound devices: what PortAudio sees, which of them a person means by a name or a number, how to open a microphone."""

import atexit
import difflib
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from speakerd.errors import SpeakerdError

log = logging.getLogger(__name__)

NO_START = "PortAudio does not start: is there a mistake in /etc/asound.conf or ~/.asoundrc?"

Channel = int | Literal["mix"]
T = TypeVar("T")

OTHER_RATES = (48000, 44100, 16000)  # for a device that refuses the rate it calls its own
ANSWERS_WITHIN = 5.0  # seconds after which a sound server counts as hung
ENDS_WITHIN = 1.0  # the same when the program ends: nothing is lost with it
BLOCK = 0.1  # seconds of sound a callback: each one wakes two threads, which is most of what listening costs
LATENCY = 0.2  # seconds that the device may buffer: a busy machine is late by more than the usual 35 ms
MOST_CHANNELS = 8  # more than that (32, 128) is what a virtual device says, which gives as many as it is asked for

# PortAudio's error codes: for a device that another program holds, and for a rate that it does not have.
DEVICE_UNAVAILABLE, INVALID_SAMPLE_RATE = -9985, -9997

# PortAudio answers nothing while it is being started again, so whoever asks waits for that.
_lock = threading.Lock()


class DeviceError(SpeakerdError):
    """A microphone or loudspeaker cannot be used; the message says why, for the person who plugged it in."""


class HungError(DeviceError):
    """The sound system does not answer; it may do so again."""

    def __init__(self) -> None:
        super().__init__("the sound system does not answer: has the sound server (PipeWire, PulseAudio) hung?")


@dataclass(frozen=True)
class Device:
    """Something that PortAudio can capture from, or play on; ``rate`` is its own, in Hz."""

    index: int
    name: str
    host_api: str
    channels: int
    rate: int
    is_default: bool

    def __str__(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.index} '{self.name}' ({channels}, {self.rate} Hz)"


def portaudio() -> Any:
    """sounddevice, loaded only by those who want a microphone; loading it starts PortAudio.

    Raises:
        DeviceError: the PortAudio library is not installed, or does not start.
        HungError: it waits for a sound server that does not answer.
    """
    loading, stderr = _loading()
    if not wait([loading], ANSWERS_WITHIN).done:
        os.dup2(stderr, 2)  # which sounddevice keeps from ALSA's complaints while PortAudio starts, and from ours
        raise HungError
    return loading.result()


@cache
def _loading() -> tuple["Future[Any]", int]:
    """What comes of loading it, and the standard error from before."""
    stderr = os.dup(2)
    return aside(_load), stderr


def _load() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError("PortAudio is missing: sudo apt install libportaudio2") from error
    except Exception as error:  # sounddevice's own, which has no name before it is loaded
        raise DeviceError(NO_START) from error
    # By itself it would wait for ever at the end of the program, if the sound server has hung.
    atexit.unregister(sounddevice._exit_handler)
    atexit.register(lambda: wait([aside(sounddevice._exit_handler)], ENDS_WITHIN))
    return sounddevice


def refresh() -> None:
    """Look for devices anew: PortAudio lists them only when it starts, so one plugged in since then is unknown.

    Any open stream of this process ends with it, so call it only while there is none. (sounddevice keeps ALSA's
    complaints about absent cards off stderr while PortAudio starts.)
    """
    sounddevice = portaudio()
    with _lock:
        try:
            while sounddevice._initialized:
                sounddevice._terminate()
            sounddevice._initialize()
        except sounddevice.PortAudioError as error:
            raise DeviceError(NO_START) from error


def surroundings() -> tuple[float, ...]:
    """Something that is another when a sound card or a sound server has come or gone."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/run"))
    folders = (Path("/dev/snd"), runtime, runtime / "pulse")
    return tuple(folder.stat().st_mtime if folder.exists() else 0.0 for folder in folders)


def capture_devices() -> list[Device]:
    """Everything that has at least one input channel, in PortAudio's order."""
    return _devices("input")


def find_device(wanted: str | int | None) -> Device:
    """The device with this number, or this name or part of it in any case; None is the default microphone.

    Raises:
        DeviceError: there is no such device, or none at all.
    """
    missing = "no capture device at all: is the microphone plugged in? `arecord -l` lists what ALSA sees"
    return _found(wanted, capture_devices(), "capture", missing)


def find_loudspeaker(wanted: str | int | None) -> Device:
    """As :func:`find_device`, among what has at least one output channel; None is the default loudspeaker.

    Raises:
        DeviceError: there is no such device, or none at all.
    """
    missing = "no playback device at all: is the loudspeaker plugged in? `aplay -l` lists what ALSA sees"
    return _found(wanted, _devices("output"), "playback", missing)


def _devices(way: Literal["input", "output"]) -> list[Device]:
    sounddevice = portaudio()
    with _lock:
        try:
            found = [(device, sounddevice.query_hostapis(device["hostapi"])) for device in sounddevice.query_devices()]
            default = sounddevice.default.device[way]
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"PortAudio does not list devices: {error}") from error
    return [
        Device(
            index=device["index"],
            name=device["name"],
            host_api=host_api["name"],
            channels=device[f"max_{way}_channels"],
            rate=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device, host_api in found
        if device[f"max_{way}_channels"] > 0
    ]


def _found(wanted: str | int | None, devices: list[Device], kind: str, missing: str) -> Device:
    if not devices:
        raise DeviceError(missing)
    if wanted is None:
        return next((device for device in devices if device.is_default), devices[0])
    matches = _matches(wanted, devices)
    if not matches:
        message = f"{wanted!r} is not a {kind} device. I see: {'; '.join(map(str, devices))}"
        raise DeviceError(message + _did_you_mean(wanted, devices))
    if len(matches) > 1:
        log.info("%r fits %s: taking the first", wanted, "; ".join(map(str, matches)))
    return matches[0]


def open_stream(
    device: Device, channel: Channel, take: Callable[[Any, int, Any, Any], None], ended: Callable[[], None]
) -> tuple[Any, int]:
    """Begin to capture float32 at the device's own rate; the stream, and how many channels it has.

    PortAudio's thread calls ``take`` for each block and ``ended`` when there will be no more.

    Raises:
        DeviceError: the device is busy, or has no such channel, or refuses every rate.
    """
    sounddevice = portaudio()
    channels = _channels_for(channel, device)
    refusal = None
    for rate in dict.fromkeys((device.rate, *OTHER_RATES)):
        try:
            stream = sounddevice.RawInputStream(
                device=device.index,
                samplerate=rate,
                channels=channels,
                dtype="float32",
                blocksize=round(rate * BLOCK),
                latency=LATENCY,
                callback=take,
                finished_callback=ended,
            )
        except sounddevice.PortAudioError as error:
            refusal = refusal or error
            if error.args[-1] == INVALID_SAMPLE_RATE:
                continue
            break
        try:
            stream.start()
        except sounddevice.PortAudioError as error:
            stream.close()
            refusal = error
            break
        return stream, channels
    assert refusal is not None
    if refusal.args[-1] == DEVICE_UNAVAILABLE:
        raise DeviceError(f"'{device.name}' is in use by another program (`fuser -v /dev/snd/*` shows which)")
    raise DeviceError(f"'{device.name}' does not open: {refusal}")


def _channels_for(channel: Channel, device: Device) -> int:
    """How many channels to open."""
    offered = device.channels if device.channels <= MOST_CHANNELS else 2
    if channel == "mix":
        return offered
    if channel < device.channels:
        # Never only one of several: a sound server would mix them instead of giving the first.
        return max(channel + 1, min(2, offered))
    raise DeviceError(f"there is no channel {channel} (the first is 0): {device}")


def _matches(wanted: str | int, devices: list[Device]) -> list[Device]:
    text = str(wanted).strip().casefold()
    if text.isdecimal():
        return [device for device in devices if device.index == int(text)]
    named_so = [device for device in devices if device.name.casefold() == text]
    return named_so or [device for device in devices if text in device.name.casefold()]


def _did_you_mean(wanted: str | int, devices: list[Device]) -> str:
    # "USB PnP Sound Device: Audio (hw:1,0)" is known to people by what stands before the colon.
    names = {device.name.split(":")[0].casefold(): device.name for device in devices}
    close = difflib.get_close_matches(str(wanted).casefold(), names, n=1)
    return f". Did you mean '{names[close[0]]}'?" if close else ""


def aside(work: Callable[[], T]) -> Future[T]:
    """Run ``work`` in a thread of its own, which does not hold up the end of the program."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome
