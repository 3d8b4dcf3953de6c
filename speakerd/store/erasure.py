"""Erasing: everything that a command which is no longer known has left in the tables."""

import re
import sqlite3
from collections import defaultdict

from speakerd.store.knowledge import Knowledge, name_key

RIVAL = 2  # the role of another command's example
ERASED = "a command was erased"  # what the history says of changes to it
GONE = " (what was erased since is gone for good)"  # with which it ends where a change was undone all the same

# Where the sentences of the history name a command, {0}; elsewhere the same words mean something else: there are
# commands called "one", "back" and "room".
_TOLD = (
    r"(undone: )*{0}: (learned|taught anew|one example less|forgotten|now called|was not said|was said)\b.*"
    r"|.*: now called {0}{1}"
    r"|.*; {0}: was said at .*"
    r"|(undone: )*imported: (.*, )?{0}(, .*|{1})"
    r"|.*; without audio, to be taught again: (.*, )?{0}(, .*|{1})"
)


def remove_traces(database: sqlite3.Connection, name: str, known: Knowledge) -> set[str]:
    """Remove what was learned under ``name`` and, of the same command, under other names: examples, audio, what was
    derived from them, and what the history says. What ``known`` holds keeps everything but this name, should it have
    had it once; where it had been told apart from what is erased, earlier versions know it as it is now. To be called
    within a transaction.

    Returns:
        The names that it had, as :func:`name_key` gives them.
    """
    present = {e: command for command in known.commands for e in command.examples + command.negatives}
    called: dict[int, str] = dict(database.execute("SELECT id, name FROM trained"))
    members, rivals = defaultdict[int, set[int]](set), defaultdict[int, set[int]](set)
    for trained, example, role in database.execute("SELECT trained, example, role FROM trained_example"):
        (rivals if role == RIVAL else members)[trained].add(example)
    for trained, shared in [(t, members[t] & present.keys()) for t in called]:
        if shared and name_key(called.pop(trained)) == name_key(name):
            database.execute("UPDATE trained SET name = ? WHERE id = ?", (present[min(shared)].name, trained))
    gone: set[int] = set()
    names, examples = {name_key(name)}, set[int]()
    while more := {t for t in called.keys() - gone if name_key(called[t]) in names or members[t] & examples}:
        gone |= more
        names |= {name_key(called[t]) for t in more}
        examples.update(*(members[t] for t in more))
    for trained in [t for t in rivals if rivals[t] & examples]:
        now = next((present[example].id for example in sorted(members[trained] & present.keys())), None)
        if now is not None:
            database.execute("UPDATE version_trained SET trained = ? WHERE trained = ?", (now, trained))
        gone.add(trained)
    database.executemany("DELETE FROM example WHERE id = ?", [(example,) for example in examples])
    database.executemany("DELETE FROM trained WHERE id = ?", [(trained,) for trained in gone])
    trace = re.compile(_TOLD.format(f"({'|'.join(map(re.escape, names))})", f"({re.escape(GONE)})?"))
    changes = database.execute("SELECT id, change FROM version")
    told = [id for id, change in changes if trace.fullmatch(name_key(change))]
    database.executemany("UPDATE version SET change = ? WHERE id = ?", [(ERASED, id) for id in told])
    return names
