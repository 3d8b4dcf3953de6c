"""Resident memory, which a small machine has least of: glibc keeps what a program frees, in a heap for each thread.
Other C libraries have no such functions, and need none."""

import ctypes

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def one_heap() -> None:
    """From now on threads share one heap. Whoever asks the daemon something has a thread, and each would leave behind a
    heap as large as it once was."""
    _glibc("mallopt", ARENA_MAX, 1)


def give_back() -> None:
    """What is free goes back to the system: loading a model leaves ten megabytes, learning a command five."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *numbers: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*numbers)
