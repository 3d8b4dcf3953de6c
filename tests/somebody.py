"""Doing something as somebody without rights: modes of files mean nothing to root, as which tests often run."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


def without_rights(do: Callable[[], str]) -> str:
    """What ``do`` returns in a process that is not root."""
    if os.geteuid() != 0:
        return do()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            answer = do()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        answer = file.read()
    os.waitpid(child, 0)
    return answer


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that anybody may enter; pytest's are for its user alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
