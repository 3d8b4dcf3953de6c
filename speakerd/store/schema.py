"""The tables, and opening them: write-ahead log, every confirmed write durable, versions of the layout checked."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speakerd.errors import SpeakerdError

log = logging.getLogger(__name__)

LAYOUT = 4

# An example is what was said; a trained command is everything derived from its examples at one time and never changes;
# a version names the trained commands that were known together. Undo and rollback only choose another version.
_TABLES = """
CREATE TABLE example (
    id INTEGER PRIMARY KEY,
    made REAL NOT NULL,
    speaker TEXT,
    source TEXT NOT NULL,       -- file name or 'microphone'
    doubt TEXT,                 -- why it was accepted with a doubt
    audio BLOB,                 -- FLAC of the utterance; NULL when the owner keeps no audio
    begin INTEGER NOT NULL,     -- where in it the speech is, in samples
    end INTEGER NOT NULL
);
CREATE TABLE embedding (
    example INTEGER NOT NULL REFERENCES example ON DELETE CASCADE,
    encoder TEXT NOT NULL,      -- the id of the encoder that made it
    vectors BLOB NOT NULL,      -- float32, little-endian (rows, dimension): of the example, then of its variants
    rows INTEGER NOT NULL,
    PRIMARY KEY (example, encoder)
) WITHOUT ROWID;
CREATE TABLE trained (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    action TEXT,
    threshold REAL NOT NULL,
    expected_fa_per_hour REAL NOT NULL,
    expected_frr REAL NOT NULL,
    over_budget INTEGER NOT NULL,
    heads BLOB NOT NULL,        -- float32 (heads, dimension + 1): weights and bias
    speakers TEXT NOT NULL,     -- JSON list: whose each head is; null for everybody's
    fa_low REAL NOT NULL DEFAULT 0,   -- interval of expected_fa_per_hour
    fa_high REAL NOT NULL DEFAULT 0,
    fa_hours REAL NOT NULL DEFAULT 0, -- of talk behind it
    alike REAL NOT NULL DEFAULT 1     -- how many times as often as strangers' talk this household's sounds like it
);
CREATE TABLE trained_example (
    trained INTEGER NOT NULL REFERENCES trained ON DELETE CASCADE,
    example INTEGER NOT NULL REFERENCES example ON DELETE CASCADE,
    role INTEGER NOT NULL DEFAULT 0, -- 0: it was said, 1: it was taken for it, 2: a command that sounds alike was said
    PRIMARY KEY (trained, example)
) WITHOUT ROWID;
CREATE TABLE version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    parent INTEGER,             -- the version that undo goes back to
    made REAL NOT NULL,
    change TEXT NOT NULL,       -- what happened, in words
    encoder TEXT NOT NULL
);
CREATE TABLE version_trained (
    version INTEGER NOT NULL REFERENCES version ON DELETE CASCADE,
    trained INTEGER NOT NULL REFERENCES trained ON DELETE CASCADE,
    PRIMARY KEY (version, trained)
) WITHOUT ROWID;
"""

# Of what was heard and not acted upon nothing is kept but how much it was, day by day.
_TALK = """
CREATE TABLE talk (
    example INTEGER NOT NULL REFERENCES example ON DELETE CASCADE, -- the first of the command that it is about
    models TEXT NOT NULL,
    day INTEGER NOT NULL,       -- since 1970
    hours REAL NOT NULL,        -- of talk that was heard
    near INTEGER NOT NULL,      -- near misses in it
    expected REAL NOT NULL,     -- near misses that as much talk of strangers would have made
    PRIMARY KEY (example, models, day)
) WITHOUT ROWID;
"""


class StoreError(SpeakerdError):
    """The state cannot be read or written; the message says why and what to do. Nothing was changed, unless it
    says so."""


def open_database(folder: Path) -> sqlite3.Connection:
    """Open, or make, ``folder/speakerd.sqlite``; one that is there but cannot be written, also since the disk is full,
    is opened to be read.

    Raises:
        StoreError: the folder cannot be made or written, the file is damaged or of a newer layout.
    """
    path = folder / "speakerd.sqlite"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = "rwc"
        try:
            path.touch(mode=0o600)  # also where the folder is one that everybody may read
        except OSError:
            if not os.access(path, os.R_OK):
                raise
            mode = _read_only(path)
        with _alone(folder):
            try:
                return _opened(path, mode)
            except sqlite3.OperationalError as error:
                # Even to read, SQLite makes files beside it, which are some 30 kB.
                if not any(words in str(error) for words in _NO_ROOM) or not _whole(path):
                    raise
                log.warning("%s. Until then, and until speakerd is started anew, nothing is kept", explain(path, error))
                return _opened(path, _UNWRITTEN)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreError(explain(path, error)) from error
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot keep state here: {error}. Choose another folder with --state DIR"
        ) from error


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    # autocommit: transactions are begun and ended explicitly; one connection is shared under a lock
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, timeout=5, isolation_level=None, check_same_thread=False, uri=True)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


_UNWRITTEN = "ro&immutable=1"  # how to open what nobody writes


def _read_only(path: Path) -> str:
    """How to open what may not be written. SQLite wants to make files beside it, unless it knows that nobody writes;
    where somebody may, or was interrupted, those files are there, and hold what is not yet in the main one."""
    beside = [Path(f"{path}-shm"), Path(f"{path}-wal")]
    return "ro" if any(file.exists() for file in beside) else _UNWRITTEN


def _whole(path: Path) -> bool:
    """Whether all that is known is in the main file."""
    ahead = Path(f"{path}-wal")
    return path.stat().st_size > 0 and not (ahead.exists() and ahead.stat().st_size)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: two must not both find that there is nothing yet, and make it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    layout = connection.execute("PRAGMA user_version").fetchone()[0]
    if layout > LAYOUT:
        raise StoreError(
            f"{path} is of layout {layout}, this speakerd knows {LAYOUT}: it was written by a newer speakerd. "
            "Update speakerd, or choose another folder with --state DIR"
        )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    if layout == 0:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {_TALK} PRAGMA user_version = {LAYOUT}; COMMIT;")
    if layout == 1:  # heads took the place of prototypes and are derived anew; what has audio is heard again, enlarged
        connection.executescript(
            "BEGIN IMMEDIATE; ALTER TABLE trained RENAME COLUMN prototypes TO heads;"
            " ALTER TABLE embedding RENAME COLUMN vector TO vectors;"
            " ALTER TABLE embedding ADD COLUMN rows INTEGER NOT NULL DEFAULT 1;"
            " DELETE FROM embedding WHERE example IN (SELECT id FROM example WHERE audio IS NOT NULL);"
            " PRAGMA user_version = 2; COMMIT;"
        )
    if layout in (1, 2):  # an example can now be one of what a command is not
        connection.executescript(
            "BEGIN IMMEDIATE; ALTER TABLE trained_example ADD COLUMN role INTEGER NOT NULL DEFAULT 0;"
            " PRAGMA user_version = 3; COMMIT;"
        )
    if layout in (1, 2, 3):  # what is expected has an interval, and what was not acted upon is counted
        connection.executescript(
            "BEGIN IMMEDIATE; ALTER TABLE trained ADD COLUMN fa_low REAL NOT NULL DEFAULT 0;"
            " ALTER TABLE trained ADD COLUMN fa_high REAL NOT NULL DEFAULT 0;"
            " ALTER TABLE trained ADD COLUMN fa_hours REAL NOT NULL DEFAULT 0;"
            " ALTER TABLE trained ADD COLUMN alike REAL NOT NULL DEFAULT 1;"
            f" {_TALK} PRAGMA user_version = {LAYOUT}; COMMIT;"
        )
    connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
    connection.execute("PRAGMA cache_size = -256")  # kilobytes: 2 MB less than usual, and the system keeps it too


_NO_ROOM = ("full", "disk I/O error")  # what SQLite says where there is none; the latter also of a disk that fails
# What SQLite, or the decoding of what it read, says of a file in which bytes have changed.
_DAMAGE = ("not a database", "malformed", "no such column", "no such table", "decode")


def explain(path: Path, error: sqlite3.Error | OSError | ValueError) -> str:
    """What went wrong with the database, in words that say what to do."""
    said = str(error)
    if "readonly" in said or "unable to open" in said:
        return (
            f"{path} cannot be written ({said}): is the disk read-only, or was it full when speakerd was started? "
            "Check that, and the owner and mode of its folder, or choose another with --state DIR"
        )
    if "disk I/O error" in said:
        return f"{path}: the disk may be full, or it fails ({said}). Free some space and try again"
    if "full" in said:
        return f"{path}: the disk is full, nothing was changed. Free some space and try again"
    if "locked" in said:
        return f"{path} is being written by another speakerd; try again"
    if isinstance(error, ValueError) or any(words in said for words in _DAMAGE):
        return f"{path} is damaged ({said}). Move it away to begin anew, or restore it from a backup"
    return f"{path}: {said}"
