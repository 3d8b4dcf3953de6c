"""Compositions, made by other processes while the student learns from the one before."""

import multiprocessing
import os
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from threading import Thread

import numpy as np
import torch

from speakerd.training.data import Corpora
from speakerd.training.scenes import Composition, compose

MOST = 6  # of 3 GB each, on the disk

_corpora: Corpora  # of the process that makes them


class Compositions:
    """Compositions by number, ``count`` in rising order, each kept in ``folder`` until the next is asked for.

    To be made before anything starts threads or a graphics card: the makers are forks, and share the recordings."""

    def __init__(
        self, corpora: Corpora, folder: Path, count: int, seed: int, scenes: int | None,
        without: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self._folder, self._count, self._how = folder, count, (seed * 1000, scenes, without)
        self._makers = min(MOST, max(1, (os.cpu_count() or 1) - 2))
        fork = multiprocessing.get_context("fork")
        self._pool = ProcessPoolExecutor(self._makers, fork, _share, (corpora, os.getpid()))
        self._coming: dict[int, Future[None]] = {}
        self._pool.submit(os.getpid).result()

    def get(self, number: int) -> Composition:
        """Wait for a composition; the samples are mapped, not read."""
        for coming in range(number, min(number + 1 + self._makers, self._count)):
            if coming not in self._coming:
                self._coming[coming] = self._pool.submit(_make, self._path(coming), coming, *self._how)
        self._coming[number].result()
        for old in [old for old in self._coming if old < number]:
            del self._coming[old]
            self._path(old).unlink(missing_ok=True)
        made = torch.load(self._path(number), mmap=True)
        clips = np.split(made["clips"].numpy(), np.cumsum(made["lengths"].numpy())[:-1])
        return Composition(made["pcm"].numpy(), made["spans"].numpy(), clips)

    def close(self) -> None:
        """No more will be asked for."""
        self._pool.shutdown()

    def _path(self, number: int) -> Path:
        return self._folder / f"scenes-{number}.pt"


def _share(corpora: Corpora, parent: int) -> None:
    global _corpora
    _corpora = corpora
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A maker whose run was killed would wait for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _make(path: Path, number: int, seed: int, scenes: int | None, without: frozenset[str]) -> None:
    if path.exists():
        return
    made = compose(_corpora, seed + number, scenes, without)
    arrays = {"pcm": made.pcm, "spans": made.spans, "clips": np.concatenate(made.clips)}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    torch.save(tensors | {"lengths": torch.tensor([len(clip) for clip in made.clips])}, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)
