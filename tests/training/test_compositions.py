"""Compositions are made by other processes, in their order, and those processes end with the run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from speakerd.training.compositions import Compositions
from speakerd.training.scenes import compose
from tests.training.tones import corpora


def test_compositions_are_those_of_their_numbers_and_only_the_last_is_kept(tmp_path: Path) -> None:
    made = Compositions(corpora(), tmp_path, 3, seed=3, scenes=4)
    for number in (0, 1, 2):
        found, expected = made.get(number), compose(corpora(), 3000 + number, 4)
        np.testing.assert_array_equal(found.pcm, expected.pcm)
        np.testing.assert_array_equal(found.spans, expected.spans)
        assert len(found.clips) == len(expected.clips)
        for got, clip in zip(found.clips, expected.clips, strict=True):
            np.testing.assert_array_equal(got, clip)
    assert not (tmp_path / "scenes-1.pt").exists()
    assert (tmp_path / "scenes-2.pt").exists()
    assert not (tmp_path / "scenes-3.pt").exists(), "none is made that nobody asks for"


def test_a_run_that_goes_on_finds_its_composition_and_may_have_others(tmp_path: Path) -> None:
    first = Compositions(corpora(), tmp_path, 9, seed=3, scenes=4).get(5)
    when = (tmp_path / "scenes-5.pt").stat().st_mtime_ns
    again = Compositions(corpora(), tmp_path, 9, seed=3, scenes=4).get(5)
    assert (tmp_path / "scenes-5.pt").stat().st_mtime_ns == when
    np.testing.assert_array_equal(first.pcm, again.pcm)
    (tmp_path / "plain").mkdir()
    plain = Compositions(corpora(), tmp_path / "plain", 9, seed=3, scenes=4, without=frozenset({"phrases"}))
    assert (plain.get(0).spans[:, 3:5].max(axis=1) >= 0).all(), "every clip is a word"


def test_makers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from speakerd.training.compositions import Compositions; "
        "from tests.training.tones import corpora; "
        "made = Compositions(corpora(), Path(sys.argv[1]), 1, 0, 2); made.get(0); "
        "print(*made._pool._processes, flush=True); os.kill(os.getpid(), 9)"
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
