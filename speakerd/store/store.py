"""The store: reads what is known, writes new versions of it, each in one transaction that is on the disk when it
returns. A power cut leaves the version before or the version after, never something between."""

import fcntl
import json
import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.store.erasure import ERASED, GONE, remove_traces
from speakerd.store.knowledge import Command, Example, Heads, Knowledge, Overheard, Version, same_name
from speakerd.store.schema import StoreError, explain, open_database

Row = tuple[Any, ...]
Update = Callable[[Knowledge], Sequence[Command]]  # from what is known to all commands of the next version

KEPT_DAYS = 30  # how long what was forgotten or replaced can be brought back, and talk of a day counts
DAY = 86400  # seconds


class Store:
    """One folder of state. Safe to use from several threads and beside other processes."""

    def __init__(self, folder: Path, encoder: str, models: str | None = None) -> None:
        """Open or make it. ``encoder`` is the id of the encoder in use, which embeddings are of; ``models`` that of all
        models together, which versions are of.

        Raises:
            StoreError: see :func:`open_database`.
        """
        self.folder = folder
        self.encoder, self.models = encoder, models or encoder
        self._lock = threading.RLock()
        self._database = open_database(folder)

    def close(self) -> None:
        self._database.close()

    # -- reading

    def knowledge(self) -> Knowledge:
        """The current version (version 0, nothing known, in a new store)."""
        with self._reading():
            row = self._one("SELECT id, encoder FROM version ORDER BY id DESC LIMIT 1")
            if row is None:
                return Knowledge(0, self.models)
            return Knowledge(row[0], row[1], self._commands(row[0]))

    def examples(self, ids: Sequence[int]) -> list[Example]:
        """Kept examples in the order of ``ids``, without their audio."""
        query = (
            "SELECT vectors, rows, source, begin, end, speaker, doubt, NULL, id FROM example"
            " LEFT JOIN embedding ON example = id AND encoder = ? WHERE id = ?"
        )
        with self._reading():
            found = [self._one(query, self.encoder, i) for i in ids]
        return [Example(_matrix(*row[:2]), *row[2:]) for row in found if row is not None]

    def audio(self, example: int) -> bytes | None:
        """FLAC of an example, None where it was not kept."""
        with self._reading():
            row = self._one("SELECT audio FROM example WHERE id = ?", example)
        return row[0] if row else None

    def history(self) -> list[Version]:
        """All versions, the newest first."""
        with self._reading():
            rows = self._all("SELECT id, made, change FROM version ORDER BY id DESC")
            known = self._all("SELECT version, name FROM version_trained JOIN trained ON id = trained ORDER BY name")
        names = defaultdict[int, list[str]](list)
        for version, name in known:
            names[version].append(name)
        return [Version(id, made, change, tuple(names[id]), i == 0) for i, (id, made, change) in enumerate(rows)]

    # -- writing

    def write(self, change: str, update: Update, new: Sequence[Example] = (), again: bool = False) -> Knowledge:
        """A new version. ``update`` is given the current one and returns all commands of the next: unchanged ones as
        they are, changed ones with ``id`` None; among the examples that these refer to, a negative number -1 - i
        stands for ``new[i]``, which is stored with them. If it raises, nothing is written. ``again``: it is the current
        one derived anew, so that undo goes back to what was before that."""
        with self._writing() as now:
            self._add_knowledge(change, update, new, again, now)
        return self.knowledge()

    def add_embeddings(self, example: int, embeddings: NDArray[np.float32]) -> None:
        """What the encoder in use makes of an example that another one has seen before, and of its variants."""
        with self._writing():
            self._run("DELETE FROM embedding WHERE example = ? AND encoder = ?", example, self.encoder)
            self._add_vectors(example, embeddings)

    def undo(self) -> Knowledge:
        """Bring back what was known before the last change; again, what was known before that. Changes to commands that
        were erased are passed over.

        Raises:
            StoreError: there is nothing before.
        """
        with self._writing() as now:
            parent, change, erased = self._last_change()
            if change is None or (parent is None and not self.knowledge().commands):
                raise StoreError("there is nothing to undo" + "; what was erased is gone for good" * erased)
            words = f"undone: {change}" + GONE * erased
            version = self._add_version(self._parent(parent), words, now)
            self._copy(parent, version)
        return self.knowledge()

    def _last_change(self) -> tuple[int | None, str | None, bool]:
        """The version before the last change that is not about an erased command, the change in words (None: there is
        none), and whether there were others after it."""
        at, erased = self._current(), False
        while at is not None:
            parent = self._parent(at)
            if parent is not None and self._one("SELECT id FROM version WHERE id = ?", parent) is None:
                raise StoreError(f"what was known before is older than {KEPT_DAYS} days")
            # The first to follow that parent made the change; later ones brought it back or derived it anew.
            change = self._all("SELECT change FROM version WHERE parent IS ? ORDER BY id LIMIT 1", parent)[0][0]
            if change != ERASED:
                return parent, change, erased
            at, erased = parent, True
        return None, None, erased

    def rollback(self, version: int) -> Knowledge:
        """Bring back an older version by its number.

        Raises:
            StoreError: there is no such version.
        """
        with self._writing() as now:
            if self._one("SELECT id FROM version WHERE id = ?", version) is None:
                raise StoreError(f"there is no version {version}; `speakerd history` lists them")
            new = self._add_version(self._current(), f"back to version {version}", now)
            self._copy(version, new)
        return self.knowledge()

    def erase(self, name: str, update: Update | None = None) -> set[str]:
        """Remove every trace of a command, under this name and the others that it had, from the tables. It is not known
        any more, or ``update`` leaves it out of what is. :meth:`compact` is to follow. Returns those names, as
        :func:`name_key` gives them."""
        with self._writing() as now:
            if update is not None:
                self._add_knowledge(ERASED, update, (), False, now)
            names = remove_traces(self._database, name, self.knowledge())
            self._run("PRAGMA application_id = 1")  # until the file is compact, also where the power is cut before
        return names

    @property
    def compact_due(self) -> bool:
        """Whether free pages or the write-ahead log may hold something that was erased."""
        with self._reading():
            return bool(self._all("PRAGMA application_id")[0][0])

    def compact(self) -> None:
        """Write the file anew without free pages, and empty the write-ahead log.

        Raises:
            StoreError: that could not be done, and is due.
        """
        with self._lock:
            try:
                self._empty_log()  # its room may be what is needed
                self._run("VACUUM")
                self._empty_log()
                self._run("PRAGMA application_id = 0")
            except sqlite3.Error as error:
                why = "the disk is full. Free some space" if "full" in str(error) else f"{error}"
                raise StoreError(
                    f"{self.folder / 'speakerd.sqlite'}: what was erased is not known any more, but the file could not "
                    f"be written anew to wipe its bytes: {why}. A running speakerd tries again within a day, and so "
                    "does the next `forget --erase`"
                ) from error

    def _empty_log(self) -> None:
        if self._all("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
            raise sqlite3.OperationalError("somebody else is reading it")

    def remembers(self, name: str) -> bool:
        """Whether some version knows, or knew, a command of this name."""
        with self._reading():
            return any(same_name(row[0], name) for row in self._all("SELECT DISTINCT name FROM trained"))

    def prune(self, days: float = KEPT_DAYS) -> None:
        """Drop versions that others took the place of more than ``days`` ago, and the examples that none is left to
        use."""
        with self._writing() as now:
            self._run("DELETE FROM version WHERE id < (SELECT MAX(id) FROM version WHERE made < ?)", now - days * DAY)
            self._run("DELETE FROM trained WHERE id NOT IN (SELECT trained FROM version_trained)")
            self._run("DELETE FROM example WHERE id NOT IN (SELECT example FROM trained_example)")
            self._run("DELETE FROM talk WHERE day < ?", now // DAY - days)
        if self.compact_due:
            self.compact()

    # -- what was heard and not acted upon

    def overhear(self, heard: Mapping[int, Overheard]) -> None:
        """Add to what was heard today of each command, by its first example; those that are gone are passed over."""
        with self._writing() as now:
            for example, more in heard.items():
                self._run(
                    "INSERT INTO talk SELECT id, ?, ?, ?, ?, ? FROM example WHERE id = ?"
                    " ON CONFLICT DO UPDATE SET hours = hours + excluded.hours, near = near + excluded.near,"
                    " expected = expected + excluded.expected",
                    self.models, now // DAY, more.hours, more.near, more.expected, example,
                )  # fmt: skip

    def overheard(self, example: int) -> Overheard:
        """What was heard with the models in use, in the last days, of the command with this first example."""
        with self._reading():
            (found,) = self._all(
                "SELECT TOTAL(hours), CAST(TOTAL(near) AS INTEGER), TOTAL(expected) FROM talk"
                " WHERE example = ? AND models = ? AND day >= ?",
                example, self.models, time.time() // DAY - KEPT_DAYS,
            )  # fmt: skip
        return Overheard(*found)

    def unhear(self) -> None:
        """What was heard so far is not to count."""
        with self._writing():
            self._run("DELETE FROM talk")

    # -- below: one statement each

    def _commands(self, version: int) -> tuple[Command, ...]:
        rows = self._all(
            "SELECT t.name, action, threshold, expected_fa_per_hour, expected_frr, over_budget, heads, speakers,"
            " t.id, fa_low, fa_high, fa_hours, alike FROM trained t JOIN version_trained v ON v.trained = t.id"
            " WHERE v.version = ? ORDER BY t.name",
            version,
        )
        return tuple(self._command(row) for row in rows)

    def _command(self, row: Row) -> Command:
        name, action, threshold, fa, frr, over, heads, speakers, id, low, high, hours, alike = row
        whose = tuple(json.loads(speakers))
        members = self._all(
            "SELECT e.id, role, end - begin FROM trained_example t JOIN example e ON e.id = example"
            " WHERE trained = ? ORDER BY e.id", id,
        )  # fmt: skip
        examples, negatives, rivals = (tuple(e for e, role, _ in members if role == part) for part in range(3))
        return Command(
            name, action, threshold, fa, frr, bool(over), Heads.from_bytes(heads, len(whose)), whose, examples, id,
            negatives, rivals, tuple(length / SAMPLE_RATE for _, role, length in members if role == 0),
            (low, high), hours, alike,
        )  # fmt: skip

    def _add_knowledge(self, change: str, update: Update, new: Sequence[Example], again: bool, now: float) -> None:
        commands = update(self.knowledge())
        ids = [self._add_example(example, now) for example in new]
        current = self._current()
        parent = self._parent(current) if again else current
        version = self._add_version(parent, change, now)
        for command in commands:
            trained = command.id
            if trained is None:
                parts = (command.examples, command.negatives, command.rivals)
                trained = self._add_trained(
                    command, [tuple(ids[-1 - e] if e < 0 else e for e in part) for part in parts]
                )
            self._run("INSERT INTO version_trained VALUES (?, ?)", version, trained)

    def _add_example(self, example: Example, now: float) -> int:
        assert example.embeddings is not None
        id = self._run(
            "INSERT INTO example (made, speaker, source, doubt, audio, begin, end) VALUES (?, ?, ?, ?, ?, ?, ?)",
            now, example.speaker, example.source, example.doubt, example.audio, example.begin, example.end,
        )  # fmt: skip
        self._add_vectors(id, example.embeddings)
        return id

    def _add_vectors(self, example: int, vectors: NDArray[np.float32]) -> None:
        self._run(
            "INSERT INTO embedding (example, encoder, vectors, rows) VALUES (?, ?, ?, ?)",
            example, self.encoder, vectors.astype("<f4").tobytes(), len(vectors),
        )  # fmt: skip

    def _add_trained(self, command: Command, members: Sequence[tuple[int, ...]]) -> int:
        trained = self._run(
            "INSERT INTO trained (name, action, threshold, expected_fa_per_hour, expected_frr, over_budget, heads,"
            " speakers, fa_low, fa_high, fa_hours, alike) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            command.name, command.action, command.threshold, command.expected_fa_per_hour, command.expected_frr,
            command.over_budget, command.heads.to_bytes(), json.dumps(command.speakers), *command.fa_between,
            command.fa_hours, command.alike,
        )  # fmt: skip
        for role, part in enumerate(members):
            for example in part:
                self._run("INSERT INTO trained_example VALUES (?, ?, ?)", trained, example, role)
        return trained

    def _add_version(self, parent: int | None, change: str, now: float) -> int:
        return self._run(
            "INSERT INTO version (parent, made, change, encoder) VALUES (?, ?, ?, ?)", parent, now, change, self.models
        )

    def _copy(self, old: int | None, new: int) -> None:
        self._run("INSERT INTO version_trained SELECT ?, trained FROM version_trained WHERE version = ?", new, old)
        if old is not None:
            self._run("UPDATE version SET encoder = (SELECT encoder FROM version WHERE id = ?) WHERE id = ?", old, new)

    def _current(self) -> int | None:
        row = self._one("SELECT id FROM version ORDER BY id DESC LIMIT 1")
        return None if row is None else int(row[0])

    def _parent(self, version: int | None) -> int | None:
        row = self._one("SELECT parent FROM version WHERE id = ?", version)
        return None if row is None else row[0]

    def _one(self, statement: str, *values: object) -> Row | None:
        return next(iter(self._all(statement, *values)), None)

    def _all(self, statement: str, *values: object) -> list[Row]:
        return self._database.execute(statement, values).fetchall()

    def _run(self, statement: str, *values: object) -> int:
        return self._database.execute(statement, values).lastrowid or 0

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
                raise StoreError(explain(self.folder / "speakerd.sqlite", error)) from error

    @contextmanager
    def _writing(self) -> Iterator[float]:
        """One transaction; yields the time that it carries."""
        with self._reading():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield time.time()
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise


def _matrix(stored: bytes | None, rows: int | None) -> NDArray[np.float32] | None:
    return None if stored is None or rows is None else np.frombuffer(stored, "<f4").reshape(rows, -1)


class Ownership:
    """The daemon's claim on a folder: a second daemon on the same state is turned away."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        StoreError: another daemon has it, or it cannot be written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: IO[str] = (folder / "owner").open("a+")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            raise StoreError(
                f"{folder} belongs to a running speakerd (process {self._file.read().strip()}): stop that one, "
                "or choose another folder with --state DIR"
            ) from error
        except OSError as error:
            raise StoreError(f"{folder}: cannot keep state here: {error}. Choose another with --state DIR") from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()
