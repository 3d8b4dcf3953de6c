"""Compositions are made by other processes, in their order, and those processes end with the run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from speakerd.training.ahead import Ahead
from speakerd.training.scenes import compose
from tests.training.tones import corpora


def test_compositions_are_those_of_their_numbers_and_only_the_last_is_kept(tmp_path: Path) -> None:
    ahead = Ahead(corpora(), tmp_path, seed=3, scenes=4)
    for number in (0, 1, 2):
        found, expected = ahead.get(number), compose(corpora(), 3000 + number, 4)
        np.testing.assert_array_equal(found.pcm, expected.pcm)
        np.testing.assert_array_equal(found.spans, expected.spans)
        assert len(found.clips) == len(expected.clips)
        for got, clip in zip(found.clips, expected.clips, strict=True):
            np.testing.assert_array_equal(got, clip)
    assert not (tmp_path / "scenes-1.pt").exists()
    assert (tmp_path / "scenes-2.pt").exists()


def test_a_run_that_goes_on_finds_its_composition_and_may_have_others(tmp_path: Path) -> None:
    first = Ahead(corpora(), tmp_path, seed=3, scenes=4).get(5)
    made = (tmp_path / "scenes-5.pt").stat().st_mtime_ns
    again = Ahead(corpora(), tmp_path, seed=3, scenes=4).get(5)
    assert (tmp_path / "scenes-5.pt").stat().st_mtime_ns == made
    np.testing.assert_array_equal(first.pcm, again.pcm)
    (tmp_path / "plain").mkdir()
    plain = Ahead(corpora(), tmp_path / "plain", seed=3, scenes=4, without=frozenset({"phrases"}))
    assert (plain.get(0).spans[:, 3:5].max(axis=1) >= 0).all(), "every clip is a word"


def test_makers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from speakerd.training.ahead import Ahead; "
        "from tests.training.tones import corpora; ahead = Ahead(corpora(), Path(sys.argv[1]), 0, 2); ahead.get(0); "
        "print(*ahead._pool._processes, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=60)
    makers = [int(pid) for pid in done.stdout.split()]
    assert makers, done.stderr
    until = time.monotonic() + 10
    while any(map(alive, makers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, makers))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
