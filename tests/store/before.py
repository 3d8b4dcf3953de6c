"""The layout before heads: prototypes, and a single embedding of each example."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from speakerd.store.knowledge import Heads

# What layout 4 brought.
LATER = [f"ALTER TABLE trained DROP COLUMN {name}" for name in ("fa_low", "fa_high", "fa_hours", "alike")]
LATER.append("DROP TABLE talk")


def as_before(folder: Path) -> None:
    """Turn a state into one that a speakerd of layout 1 has left, with models of its own."""
    with closing(sqlite3.connect(folder / "speakerd.sqlite")) as database, database:
        for example, encoder, vectors, rows in database.execute("SELECT * FROM embedding").fetchall():
            kept = (vectors[: len(vectors) // rows], example, encoder)
            database.execute("UPDATE embedding SET vectors = ? WHERE example = ? AND encoder = ?", kept)
        for id, heads, speakers in database.execute("SELECT id, heads, speakers FROM trained").fetchall():
            prototypes = Heads.from_bytes(heads, len(json.loads(speakers))).weights
            database.execute("UPDATE trained SET heads = ? WHERE id = ?", (prototypes.tobytes(), id))
        for statement in (
            *LATER,
            "ALTER TABLE trained_example DROP COLUMN role",
            "ALTER TABLE embedding DROP COLUMN rows",
            "ALTER TABLE embedding RENAME COLUMN vectors TO vector",
            "ALTER TABLE trained RENAME COLUMN heads TO prototypes",
            "UPDATE version SET encoder = 'before'",
            "PRAGMA user_version = 1",
        ):
            database.execute(statement)
