"""The doctor, called by the daemon: as a program of its own, since looking for microphones can take a sound system down
with it, and the memory goes back at once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from speakerd.errors import SpeakerdError

PATIENCE = 60  # seconds


def examined(state: Path, config: Path | None) -> Iterator[dict[str, Any]]:
    """What ``speakerd doctor`` finds, of the daemon on a folder of state and all around it.

    Raises:
        SpeakerdError: it finds nothing, and says why.
    """
    settings = ["--config", str(config)] if config else []
    call = [sys.executable, "-m", "speakerd", "doctor", "--json", "--state", str(state), *settings]
    try:
        done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpeakerdError(f"speakerd doctor cannot be called: {error}") from error
    if not done.stdout:
        raise SpeakerdError(f"speakerd doctor found nothing: {done.stderr.decode(errors='replace')[-500:]}")
    yield from (msgspec.json.decode(line) for line in done.stdout.splitlines())
