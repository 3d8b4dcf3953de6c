"""What a peer costs: taught from the clips in a folder of folders, given raw 16 kHz 16-bit PCM from files, 100 ms at a
time and as fast as it takes them. Prints what it took, as JSON. Run by ``script/bench-peers`` in the peer's Python."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

RATE = 16000
BLOCK = RATE // 10 * 2  # bytes

Listener = Callable[[bytes], object]


def raven(clips: Path) -> Listener:
    """A Raven for each command, as its command line does for several keywords."""
    from rhasspywake_raven import Raven  # type: ignore[import-not-found]

    ravens = [Raven([Raven.wav_to_template(f) for f in sorted(one.iterdir())]) for one in sorted(clips.iterdir())]
    return lambda block: [one.process_chunk(block) for one in ravens]


def pyopen_wakeword(_: Path) -> Listener:
    """All words that it comes with; it learns none."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures  # type: ignore[import-not-found]

    features, words = OpenWakeWordFeatures.from_builtin(), [OpenWakeWord.from_builtin(model) for model in Model]
    return lambda block: [
        list(word.process_streaming(heard)) for heard in features.process_streaming(block) for word in words
    ]


def pymicro_wakeword(_: Path) -> Listener:
    """All words that it comes with; it learns none."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model  # type: ignore[import-not-found]

    features, words = MicroWakeWordFeatures(), [MicroWakeWord.from_builtin(model) for model in Model]
    return lambda block: [
        word.process_streaming(heard) for heard in features.process_streaming(block) for word in words
    ]


def main(peer: str, clips: Path, *sounds: Path) -> None:
    listen = {"raven": raven, "pyopen_wakeword": pyopen_wakeword, "pymicro_wakeword": pymicro_wakeword}[peer](clips)
    took = {"start": time.process_time()}
    for sound in sounds:
        pcm = sound.read_bytes()
        began = time.process_time()
        for at in range(0, len(pcm), BLOCK):
            listen(pcm[at : at + BLOCK])
        took[sound.stem] = (time.process_time() - began) / (len(pcm) / 2 / RATE)
    status = Path("/proc/self/status").read_text().splitlines()
    took["resident"] = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
    print(json.dumps(took))


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
