"""What was confirmed stays, what was erased is gone, and what went wrong is said; on real files."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speakerd.store.knowledge import NOTHING, Command, Knowledge, Overheard
from speakerd.store.schema import LAYOUT, StoreError
from speakerd.store.store import KEPT_DAYS, Ownership, Store
from tests.somebody import open_folder, without_rights
from tests.store.before import LATER, as_before
from tests.store.teaching import audio, digest, embeddings, examples, forget, learn, trained

ROOT = Path(__file__).resolve().parents[2]
DAY = 86400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with closing(Store(folder, "encoder")) as store:
        yield store


def names(knowledge: Knowledge) -> list[str]:
    return [command.name for command in knowledge.commands]


def sql(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "speakerd.sqlite", isolation_level=None)) as database:
        return database.execute(statement, values).fetchall()


def age(folder: Path, days: float, versions: str = "id > 0") -> None:
    sql(folder, f"UPDATE version SET made = made - ? WHERE {versions}", days * DAY)


def fault(folder: Path) -> str:
    with pytest.raises(StoreError) as caught:
        Store(folder, "encoder").knowledge()
    assert str(folder) in str(caught.value)
    return str(caught.value)


# -- what is written is read


def test_new_store_knows_nothing_and_is_its_owner_s_alone(store: Store, folder: Path) -> None:
    assert store.knowledge() == Knowledge(0, "encoder")
    assert store.history() == []
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "speakerd.sqlite").stat().st_mode & 0o777 == 0o600


def test_audio_is_private_also_in_a_folder_that_everybody_may_read(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    with closing(Store(tmp_path / "shared", "encoder")) as store:
        learn(store, "lamp")
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "shared").iterdir()} == {0o600}


def test_everything_comes_back_to_the_last_bit_also_from_another_process(store: Store, folder: Path) -> None:
    learn(store, "lamp", 1)
    known = learn(store, "Küche 💡", 4)
    with closing(Store(folder, "encoder")) as again:
        for kept in (store, again):
            assert names(kept.knowledge()) == ["Küche 💡", "lamp"]
            assert digest(kept, kept.knowledge()) == digest(store, known)
            lamp = kept.knowledge().find("lamp")
            assert lamp is not None
            expected = trained("lamp", (), 1)
            for value in ("action", "threshold", "expected_fa_per_hour", "expected_frr", "over_budget", "speakers"):
                assert getattr(lamp, value) == getattr(expected, value)
            assert lamp.heads.to_bytes() == expected.heads.to_bytes()
            for number, example in enumerate(kept.examples(lamp.examples), 1):
                assert np.array_equal(example.embeddings, embeddings(number))
                assert (example.source, example.begin, example.end) == ("microphone", 10, 20)
                assert kept.audio(lamp.examples[number - 1]) == audio(number)


def test_every_change_is_a_version(store: Store) -> None:
    began = time.time()
    learn(store, "lamp", 0)
    learn(store, "door", 3)
    forget(store, "lamp")
    history = store.history()
    assert [(v.version, v.change, v.commands, v.current) for v in history] == [
        (3, "lamp: forgotten", ("door",), True),
        (2, "door: learned", ("door", "lamp"), False),
        (1, "lamp: learned", ("lamp",), False),
    ]
    assert all(began <= version.made <= time.time() for version in history)


def test_command_that_did_not_change_is_stored_once(store: Store, folder: Path) -> None:
    learn(store, "lamp", 0)
    for number in range(1, 5):
        learn(store, "door", 3 * number)
    assert sql(folder, "SELECT COUNT(*) FROM trained WHERE name = 'lamp'") == [(1,)]


def test_change_that_fails_leaves_nothing(store: Store, folder: Path) -> None:
    before = learn(store, "lamp")

    def update(now: Knowledge) -> list[Command]:
        assert names(now) == ["lamp"]
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.write("door: learned", update, [])
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        store.write("door: learned", lambda now: [trained("door", (999,))])  # there is no such example
    assert digest(store, store.knowledge()) == digest(store, before)
    assert store.knowledge().version == before.version
    assert sql(folder, "SELECT COUNT(*) FROM trained") == [(1,)]
    assert names(learn(store, "door", 3)) == ["door", "lamp"]


def test_example_heard_by_another_encoder_has_no_embedding_until_it_is_given_one(store: Store, folder: Path) -> None:
    lamp = learn(store, "lamp").commands[0]
    with closing(Store(folder, "newer")) as newer:
        assert newer.knowledge().encoder == "encoder"
        assert [example.embeddings for example in newer.examples(lamp.examples)] == [None] * 3
        newer.add_embeddings(lamp.examples[1], embeddings(50))
        found = newer.examples(lamp.examples)
        assert [example.embeddings is None for example in found] == [True, False, True]
        assert np.array_equal(found[1].embeddings, embeddings(50))
        newer.add_embeddings(lamp.examples[1], embeddings(51)[:1])  # heard once more, and without variants
        assert np.array_equal(newer.examples(lamp.examples)[1].embeddings, embeddings(51)[:1])
    assert np.array_equal(store.examples(lamp.examples)[1].embeddings, embeddings(1))


# -- undo and rollback


def test_undo_and_undo_again_go_back_step_by_step(store: Store) -> None:
    seen = [digest(store, store.knowledge())]
    for number, name in enumerate(["lamp", "door", "lamp"]):
        seen.append(digest(store, learn(store, name, 3 * number)))
    for expected, change in zip(seen[-2::-1], ["lamp: learned", "door: learned", "lamp: learned"], strict=True):
        assert digest(store, store.undo()) == expected
        assert store.history()[0].change == f"undone: {change}"
    with pytest.raises(StoreError, match="nothing to undo"):
        store.undo()
    assert len(store.history()) == 6


def test_nothing_to_undo_in_a_new_store(store: Store) -> None:
    with pytest.raises(StoreError, match="nothing to undo"):
        store.undo()
    assert store.history() == []


def test_rollback_and_its_undo(store: Store) -> None:
    first = learn(store, "lamp", 0)
    learn(store, "door", 3)
    last = forget(store, "lamp")
    assert digest(store, store.rollback(first.version)) == digest(store, first)
    assert store.history()[0].change == "back to version 1"
    assert digest(store, store.undo()) == digest(store, last)
    assert names(store.undo()) == ["door", "lamp"]
    with pytest.raises(StoreError, match=r"no version 99; `speakerd history`"):
        store.rollback(99)


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_changes_undos_and_rollbacks_is_a_pile_of_pictures(store: Store, seed: int) -> None:
    draw = random.Random(seed)
    pile = [digest(store, store.knowledge())]
    versions = {0: pile[0]}
    for step in range(40):
        known = store.knowledge()
        match draw.choice(["learn", "learn", "forget", "undo", "undo", "rollback"]):
            case "forget" if known.commands:
                pile.append(digest(store, forget(store, draw.choice(known.commands).name)))
            case "undo" if len(pile) > 1:
                pile.pop()
                assert digest(store, store.undo()) == pile[-1]
            case "rollback" if len(versions) > 1:
                version = draw.choice([*versions][1:])
                pile.append(digest(store, store.rollback(version)))
                assert pile[-1] == versions[version]
            case "learn":
                pile.append(digest(store, learn(store, draw.choice(["lamp", "door", "radio"]), 3 * step)))
        versions[store.knowledge().version] = digest(store, store.knowledge())
        assert versions[store.knowledge().version] == pile[-1]


def test_undo_passes_over_what_only_derived_the_same_anew(store: Store) -> None:
    learn(store, "lamp", 0)
    learn(store, "door", 3)
    store.write("derived again", lambda now: [trained(c.name, c.examples, 9) for c in now.commands], again=True)
    assert names(store.knowledge()) == ["door", "lamp"]
    assert names(store.undo()) == ["lamp"]
    assert store.history()[0].change == "undone: door: learned"


# -- erasing


def traces(folder: Path, *secrets: str | bytes) -> list[str]:
    """Which secrets stand somewhere in a file of the state, in any of its bytes."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes()
        for secret in secrets:
            bare = secret.encode() if isinstance(secret, str) else secret
            if bare.lower() in content.lower():
                found.append(f"{path.name}: {bare[:20]!r}")
    return found


def test_erased_command_leaves_no_byte_behind(store: Store, folder: Path) -> None:
    keep = digest(store, learn(store, "door", 0))
    learn(store, "Secret Garden", 3, source="secret-garden-1.wav")
    learn(store, "Secret Garden", 6, source="secret-garden-2.wav")
    store.undo()
    store.rollback(3)
    secrets = [
        "secret",
        "garden",
        *(part for i in range(3, 9) for part in (audio(i)[5000:5032], embeddings(i).tobytes())),
    ]
    assert all(traces(folder, secret) for secret in secrets)
    forget(store, "Secret Garden")
    store.erase("Secret Garden")
    store.compact()
    assert traces(folder, *secrets) == []
    assert not store.remembers("secret garden")
    assert digest(store, store.knowledge()) == keep
    assert "a command was erased" in {version.change for version in store.history()}
    store.undo()  # of what was done to it: nothing of it comes back
    assert names(store.knowledge()) == ["door"]
    store.close()
    assert traces(folder, *secrets) == []
    assert traces(folder, audio(0)[5000:5032]) != []


def test_erasing_goes_by_any_spelling_and_takes_all_of_them(store: Store, folder: Path) -> None:
    for number, name in enumerate(["Geheim", "GEHEIM", "geheim"]):
        learn(store, name, 3 * number)
        forget(store, name)
    store.write("Geheim: learned 1 example", lambda now: [])
    assert store.remembers("geHeim")
    store.erase("geHeim")
    store.compact()
    assert traces(folder, "geheim", *(audio(i)[5000:5032] for i in range(9))) == []


def rename(store: Store, old: str, new: str) -> Knowledge:
    def update(now: Knowledge) -> list[Command]:
        return [trained(new, c.examples, 5) if c.name == old else c for c in now.commands]

    return store.write(f"{old}: now called {new}", update)


def test_erasing_takes_former_names_and_what_was_taught_under_them(store: Store, folder: Path) -> None:
    learn(store, "first name", 0)
    rename(store, "first name", "second name")
    forget(store, "second name")
    learn(store, "second name", 3)
    rename(store, "second name", "third name")
    forget(store, "third name")
    store.erase("third name")
    store.compact()
    assert traces(folder, "first name", "second name", "third name", *(audio(i)[5000:5032] for i in range(6))) == []


def test_erasing_a_former_name_of_a_known_command_leaves_the_command(store: Store, folder: Path) -> None:
    learn(store, "former name", 0)
    known = rename(store, "former name", "lamp")
    learn(store, "former name", 3)  # another one takes the name over
    forget(store, "former name")
    store.erase("former name")
    store.compact()
    assert traces(folder, "former name", audio(3)[5000:5032]) == []
    assert digest(store, store.knowledge()) == digest(store, known)
    assert names(store.rollback(1)) == ["lamp"]


def test_undo_passes_over_what_was_erased(store: Store) -> None:
    learn(store, "lamp", 0)
    door = learn(store, "door", 3)
    learn(store, "secret", 6)
    learn(store, "radio", 9)
    learn(store, "secret", 12)
    forget(store, "secret")
    store.erase("secret")
    assert names(store.undo()) == ["door", "lamp"]
    assert store.history()[0].change == "undone: radio: learned (what was erased since is gone for good)"
    assert digest(store, store.knowledge()) == digest(store, door)
    assert names(store.undo()) == ["lamp"]
    assert store.history()[0].change == "undone: door: learned (what was erased since is gone for good)"
    assert names(store.undo()) == []
    with pytest.raises(StoreError, match="there is nothing to undo"):
        store.undo()


def test_nothing_to_undo_but_what_was_erased(store: Store) -> None:
    learn(store, "secret")
    forget(store, "secret")
    store.erase("secret")
    with pytest.raises(StoreError, match="there is nothing to undo; what was erased is gone for good"):
        store.undo()
    learn(store, "lamp", 9)
    assert names(store.undo()) == []
    assert store.history()[0].change == "undone: lamp: learned"


def test_erasing_one_leaves_the_history_of_others_with_longer_names(store: Store) -> None:
    learn(store, "light", 0)
    learn(store, "lightning", 3)
    forget(store, "light")
    store.erase("light")
    assert "lightning: learned" in [version.change for version in store.history()]


SENTENCES = [
    "{}: learned 3 examples",
    "{}: taught anew from 1 example",
    "{}: one example less",
    "{}: forgotten",
    "{}: now called lamp",
    "lamp: now called {}",
    "{}: was not said at 07:00:00 on 2026-01-01",
    "lamp: was not said at 07:00:00 on 2026-01-01; {}: was said at 07:00:00 on 2026-01-01",
    "{}: learned by itself from what was heard at 07:00 on 2026-01-01",
    "imported: {}",
    "imported: lamp, {}, door",
    "derived again for the encoder e; without audio, to be taught again: lamp, {}",
]


@pytest.mark.parametrize("name", ["one", "back", "room", "imported", "learned", "undone", "at", "(light?)", "Öl"])
def test_erasing_strikes_a_command_out_of_the_history_and_nothing_else(store: Store, name: str) -> None:
    others = [
        "lamp: one example less",
        "back to version 3",
        "room: 1.5 h of talk heard",
        "undone: lamp: learned 3 examples",
        "thresholds for a new budget",
        "derived again for the encoder e",
        *(sentence.format(f"more {name}s") for sentence in SENTENCES),
    ]
    told = [sentence.format(each) for sentence in SENTENCES for each in (name, name.upper())]
    told += [f"undone: {change}" for change in told]
    told += [f"{change} (what was erased since is gone for good)" for change in told]
    for change in (*others, *told):
        store.write(change, lambda now: [])
    store.erase(name)
    changes = [version.change for version in reversed(store.history())]
    assert changes == [*others, *["a command was erased"] * len(told)]


def test_undo_after_erasing_a_command_with_a_common_name_undoes_the_last_change(store: Store) -> None:
    learn(store, "lamp", 0)
    store.write("lamp: one example less", lambda now: [trained("lamp", now.commands[0].examples[:2])])
    learn(store, "one", 3)
    forget(store, "one")
    store.erase("one")
    store.undo()
    assert store.history()[0].change.startswith("undone: lamp: one example less")
    assert len(store.knowledge().commands[0].examples) == 3


# -- thirty days


def test_what_was_forgotten_can_be_brought_back_for_thirty_days_however_old_it_is(store: Store, folder: Path) -> None:
    known = learn(store, "lamp")
    age(folder, 400)
    forget(store, "lamp")
    age(folder, KEPT_DAYS - 1)
    store.prune()
    assert digest(store, store.undo()) == digest(store, known)


def test_what_was_forgotten_longer_ago_is_gone(store: Store, folder: Path) -> None:
    learn(store, "lamp", 0)
    learn(store, "door", 3)
    forget(store, "lamp")
    age(folder, KEPT_DAYS + 1)
    store.prune()
    with pytest.raises(StoreError, match="older than 30 days"):
        store.undo()
    assert not store.remembers("lamp")
    assert names(store.knowledge()) == ["door"]
    assert [version.version for version in store.history()] == [3]
    assert sql(folder, "SELECT COUNT(*) FROM example") == [(3,)]
    store.close()
    assert traces(folder, audio(0)[5000:5032]) == []


def test_pruning_goes_by_when_a_version_was_replaced(store: Store, folder: Path) -> None:
    for number in range(5):
        learn(store, f"command {number}", 3 * number)
    for version, days in ((1, 100), (2, 50), (3, 40), (4, 20), (5, 10)):
        age(folder, days, f"id = {version}")
    last = digest(store, store.knowledge())
    store.prune()
    assert [version.version for version in store.history()] == [5, 4, 3]  # 3 was current until 20 days ago
    assert digest(store, store.knowledge()) == last
    age(folder, 1000)
    store.prune()
    store.prune()
    assert digest(store, store.knowledge()) == last


# -- the layout of before


def test_state_of_layout_1_is_opened_and_brought_up_to_date(store: Store, folder: Path) -> None:
    quiet = replace(examples(1, 1)[0], audio=None)
    store.write("lamp: learned 3 examples", lambda now: [trained("lamp", (-1, -2, -3))], [*examples(2, 2), quiet])
    before = learn(store, "door", 5)
    history = store.history()
    store.close()
    as_before(folder)
    for _ in range(2):  # and then it stays
        with closing(Store(folder, "encoder")) as now:
            assert sql(folder, "PRAGMA user_version") == [(LAYOUT,)]
            known = now.knowledge()
            assert known.encoder == "before", "what is derived from it is to be derived again"
            for value in ("name", "action", "threshold", "expected_frr", "speakers", "examples"):
                assert [getattr(c, value) for c in known.commands] == [getattr(c, value) for c in before.commands]
            assert now.history() == history
            lamp = now.examples(known.commands[1].examples)
            assert [example.embeddings is None for example in lamp] == [True, True, False], "the others can be heard"
            assert np.array_equal(lamp[2].embeddings, embeddings(1)[:1])
            assert now.audio(lamp[0].id or 0) == audio(2)
    with closing(Store(folder, "encoder")) as now:
        now.add_embeddings(lamp[0].id or 0, embeddings(2))
        assert np.array_equal(now.examples([lamp[0].id or 0])[0].embeddings, embeddings(2))
        assert names(learn(now, "radio", 9)) == ["door", "lamp", "radio"]
        assert names(now.undo()) == ["door", "lamp"]
        assert names(now.undo()) == ["lamp"]


def test_layout_1_that_may_only_be_read_is_named() -> None:
    def opened() -> str:
        return fault(place / "state")

    with open_folder() as place:
        with closing(Store(place / "state", "encoder")) as kept:
            learn(kept, "lamp")
        as_before(place / "state")
        for path in (place / "state" / "speakerd.sqlite", place / "state"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert "speakerd.sqlite cannot be written" in without_rights(opened)
        (place / "state").chmod(0o755)


# -- what can be wrong with a folder


def test_state_of_a_newer_speakerd_is_left_alone(store: Store, folder: Path) -> None:
    learn(store, "lamp")
    store.close()
    sql(folder, f"PRAGMA user_version = {LAYOUT + 1}")
    before = (folder / "speakerd.sqlite").read_bytes()
    assert f"is of layout {LAYOUT + 1}, this speakerd knows {LAYOUT}" in fault(folder)
    assert (folder / "speakerd.sqlite").read_bytes() == before


def test_folder_that_may_not_be_written_is_refused() -> None:
    with open_folder() as place:
        (empty := place / "empty").mkdir(mode=0o555)
        assert "cannot keep state here" in without_rights(lambda: fault(empty))
        assert "cannot keep state here" in without_rights(lambda: fault(empty / "deeper"))
        assert "cannot keep state here" in without_rights(lambda: owned(empty))
        empty.chmod(0o755)


@pytest.mark.parametrize("interrupted", [False, True])
def test_state_that_may_be_read_only_is_read_and_stays_as_it_is(interrupted: bool) -> None:
    def read() -> str:
        with closing(Store(full, "encoder")) as store:
            known = digest(store, store.knowledge())
            with pytest.raises(StoreError, match=r"speakerd.sqlite cannot be written .*--state DIR"):
                forget(store, "lamp")
            assert digest(store, store.knowledge()) == known
            return known

    with open_folder() as place:
        with closing(Store(place / "live", "encoder")) as store:
            known = digest(store, learn(store, "lamp"))
            if interrupted:  # what was learned last is in the write-ahead log alone
                full = Path(shutil.copytree(place / "live", place / "full"))
        full = place / "full" if interrupted else place / "live"
        before = {path.name: path.read_bytes() for path in full.iterdir()}
        assert ("speakerd.sqlite-wal" in before) == interrupted
        for path in (*full.iterdir(), full):
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert without_rights(read) == known
        assert {path.name: path.read_bytes() for path in full.iterdir()} == before
        full.chmod(0o755)


def owned(folder: Path) -> str:
    with pytest.raises(StoreError) as caught:
        Ownership(folder)
    return str(caught.value)


def test_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "cannot keep state here" in fault(tmp_path / "file")
    assert "cannot keep state here" in fault(tmp_path / "file" / "deeper")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", ["text", "cut", "zeros", "noise"])
def test_damaged_state_is_named_and_left_as_it_is(store: Store, folder: Path, kind: str) -> None:
    for number in range(10):
        learn(store, f"command {number}", 3 * number)
    store.close()
    path = folder / "speakerd.sqlite"
    content = bytearray(path.read_bytes())
    match kind:
        case "text":
            content[:] = b"my shopping list " * 1000
        case "cut":
            del content[len(content) // 4 :]
        case "zeros":
            content[4096 : len(content) // 2] = bytes(len(content) // 2 - 4096)
        case "noise":
            content[100:40000] = np.random.default_rng(0).bytes(39900)
    path.write_bytes(content)
    assert f"{path} is damaged" in fault(folder)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'["J\\u00f6rg", null]', b'["J\\u00f6rg"? null]'),  # the speakers of a command
        (b"command 3: learned", b"command\xff3: learned"),  # the history
        (b"over_budget INTEGER", b"over_b\xffdget INTEGER"),  # the layout itself
    ],
)
def test_single_bytes_that_have_changed_are_damage_too(store: Store, folder: Path, old: bytes, new: bytes) -> None:
    for number in range(5):
        learn(store, f"command {number}", 3 * number)
    store.close()
    path = folder / "speakerd.sqlite"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(StoreError, match="is damaged"), closing(Store(folder, "encoder")) as damaged:
        damaged.knowledge()
        damaged.history()


def test_full_disk_changes_nothing_and_room_mends_it(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    with closing(Store(small_disk / "state", "encoder")) as store:
        with pytest.raises(StoreError, match="the disk is full, nothing was changed") as caught:
            for number in range(100):
                confirmed = digest(store, learn(store, f"command {number}", 3 * number))
        assert str(small_disk) in str(caught.value)
        assert digest(store, store.knowledge()) == confirmed
        with closing(Store(small_disk / "state", "encoder")) as again:
            assert digest(again, again.knowledge()) == confirmed
        ballast.unlink()
        assert "after" in names(learn(store, "after", 1000))


def test_what_was_erased_is_wiped_when_there_is_room_again(small_disk: Path) -> None:
    folder, ballast = small_disk / "state", small_disk / "ballast"
    with closing(Store(folder, "encoder")) as store:
        for number in range(4):
            learn(store, f"command {number}", 3 * number)
        learn(store, "secret", 100)
    with closing(Store(folder, "encoder")) as store:
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 180_000))
        store.erase("secret", lambda now: [command for command in now.commands if command.name != "secret"])
        with pytest.raises(StoreError, match=r"is not known any more, but .* the disk is full\. Free some space"):
            store.compact()
        assert not store.remembers("secret")
        assert "secret" not in names(store.knowledge())
    ballast.unlink()
    with closing(Store(folder, "encoder")) as store:
        assert store.compact_due
        size = (folder / "speakerd.sqlite").stat().st_size
        store.prune()
        assert not store.compact_due
        assert (folder / "speakerd.sqlite").stat().st_size < size - 50_000
        assert traces(folder, "secret", *(audio(i)[5000:5032] for i in range(100, 103))) == []


def test_somebody_who_reads_keeps_what_was_erased_until_the_next_time(store: Store, folder: Path) -> None:
    learn(store, "secret")
    store._run("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(folder / "speakerd.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM version").fetchall()
        store.erase("secret", lambda now: [])
        with pytest.raises(StoreError, match="somebody else is reading it"):
            store.compact()
        assert traces(folder, "secret") != []
    store.prune()
    assert traces(folder, "secret") == []


def test_what_is_known_can_be_read_on_a_disk_without_any_room(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, ballast = small_disk / "state", small_disk / "ballast"
    with closing(Store(folder, "encoder")) as store:
        known = digest(store, learn(store, "lamp"))
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    for _ in range(2):
        with closing(Store(folder, "encoder")) as store:
            assert digest(store, store.knowledge()) == known
            with pytest.raises(StoreError, match="was it full when speakerd was started"):
                learn(store, "door", 3)
    assert "the disk may be full" in caplog.text
    ballast.unlink()
    with closing(Store(folder, "encoder")) as store:
        assert names(learn(store, "door", 3)) == ["door", "lamp"]


def test_what_is_in_the_log_alone_is_not_passed_over_on_a_full_disk(small_disk: Path) -> None:
    folder = small_disk / "state"
    with closing(Store(small_disk / "live", "encoder")) as store:
        learn(store, "lamp")
        shutil.copytree(small_disk / "live", folder)
    (folder / "speakerd.sqlite-shm").unlink()
    shutil.rmtree(small_disk / "live")
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    assert "the disk may be full, or it fails (disk I/O error)" in fault(folder)


def test_disk_without_any_room_is_refused(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "ballast").write_bytes(bytes(2_000_000))
    assert any(words in fault(small_disk / "state") for words in ("No space left", "disk is full"))


# -- power cuts and others who write


# Rows that half a version would leave behind.
HALF = [
    "SELECT id FROM example WHERE id NOT IN (SELECT example FROM trained_example)",
    "SELECT id FROM example WHERE id NOT IN (SELECT example FROM embedding)",
    "SELECT id FROM trained WHERE id NOT IN (SELECT trained FROM trained_example)",
    "SELECT id FROM trained WHERE id NOT IN (SELECT trained FROM version_trained)",
]


def check_whole(folder: Path, confirmed: dict[int, str]) -> None:
    """Every confirmed version is there to the last bit, and at most one more, whole."""
    with closing(Store(folder, "encoder")) as store:
        assert sql(folder, "PRAGMA integrity_check") == [("ok",)]
        assert [sql(folder, query) for query in ["PRAGMA foreign_key_check", *HALF]] == [[]] * 5
        last = store.knowledge().version
        assert last - max(confirmed) in (0, 1)
        for version, expected in confirmed.items():
            assert digest(store, store.rollback(version)) == expected
        restored = store.rollback(last)
        confirmed[restored.version] = digest(store, restored)


def test_killed_at_any_time_what_was_confirmed_is_there_and_nothing_half(folder: Path) -> None:
    draw = random.Random(time.time_ns())
    confirmed: dict[int, str] = {}
    kills_between = 0
    for first in range(0, 1200, 100):
        arguments = [sys.executable, "-m", "tests.store.teaching", str(folder), str(first), "0"]
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert child.stdout is not None
        assert child.stdout.readline() == "begin\n"
        begun = child.stdout.readline() if first % 200 else ""  # every other time when it is in full swing
        time.sleep(draw.uniform(0, 0.1))
        child.send_signal(signal.SIGKILL)
        lines = [begun, *child.stdout.read().splitlines()]
        child.wait()
        fresh = dict(line.split() for line in lines if len(line.split()) == 2 and len(line.split()[1]) == 64)
        confirmed |= {int(version): known for version, known in fresh.items()}
        kills_between += bool(fresh)
        if confirmed:
            check_whole(folder, confirmed)
    assert kills_between >= 3, "it was always killed before it had written anything"


def test_two_processes_that_write_at_once_both_get_their_turn(folder: Path) -> None:
    arguments = [sys.executable, "-m", "tests.store.teaching", str(folder)]
    children = [subprocess.Popen([*arguments, str(first), "15"], cwd=ROOT) for first in (0, 100)]
    assert [child.wait(60) for child in children] == [0, 0]
    with closing(Store(folder, "encoder")) as store:
        expected = {f"command {number}" for first in (0, 100) for number in range(first, first + 15)}
        assert set(names(store.knowledge())) == expected
        history = store.history()
        assert [version.version for version in history] == list(range(30, 0, -1))
        assert [len(version.commands) for version in history] == list(range(30, 0, -1))


def test_processes_that_begin_at_once_make_one_store(tmp_path: Path) -> None:
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        arguments = [sys.executable, "-m", "tests.store.teaching", str(folder)]
        children = [subprocess.Popen([*arguments, str(first), "1"], cwd=ROOT) for first in (0, 1, 2)]
        assert [child.wait(60) for child in children] == [0, 0, 0]
        with closing(Store(folder, "encoder")) as store:
            assert len(store.knowledge().commands) == 3


def test_threads_share_a_store(store: Store) -> None:
    def teach(first: int) -> None:
        for number in range(first, first + 5):
            learn(store, f"command {number}", 3 * number)
            store.knowledge()
            store.history()

    threads = [threading.Thread(target=teach, args=(first,)) for first in (0, 10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.knowledge().commands) == 20


# -- one daemon


def test_second_owner_is_refused_until_the_first_is_gone(folder: Path) -> None:
    first = Ownership(folder)
    assert f"belongs to a running speakerd (process {os.getpid()})" in owned(folder)
    assert f"(process {os.getpid()})" in owned(folder)  # being refused did not change who it is
    first.release()
    second = Ownership(folder)
    assert f"(process {os.getpid()})" in owned(folder)
    second.release()


def test_owner_that_was_killed_owns_nothing(folder: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from speakerd.store.store import Ownership;"
        "owner = Ownership(Path(sys.argv[1])); print('mine', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    child.stdout.readline()
    assert f"(process {child.pid})" in owned(folder)
    child.kill()
    child.wait()
    Ownership(folder).release()


def test_owning_does_not_keep_a_command_from_reading_and_writing(folder: Path) -> None:
    owner = Ownership(folder)
    with closing(Store(folder, "encoder")) as store:
        assert names(learn(store, "lamp")) == ["lamp"]
    owner.release()


def test_layout_2_gains_examples_of_what_a_command_is_not(store: Store, folder: Path) -> None:
    before = digest(store, learn(store, "lamp"))
    store.close()
    for statement in (*LATER, "ALTER TABLE trained_example DROP COLUMN role", "PRAGMA user_version = 2"):
        sql(folder, statement)
    with closing(Store(folder, "encoder")) as later:
        assert digest(later, later.knowledge()) == before
        assert sql(folder, "PRAGMA user_version") == [(LAYOUT,)]


def test_examples_of_what_a_command_is_not_are_kept_with_their_mark(store: Store) -> None:
    lamp = learn(store, "lamp").commands[0]
    learn(store, "night", 3)

    def update(now: Knowledge) -> list[Command]:
        taught = replace(lamp, id=None, negatives=(-1,), rivals=(4, 5, 6))
        return [c for c in now.commands if c.name != "lamp"] + [taught]

    now = store.write("lamp: told apart", update, examples(6, 1)).find("lamp")
    assert now is not None
    assert (now.examples, now.negatives, now.rivals) == ((1, 2, 3), (7,), (4, 5, 6))
    forget(store, "night")
    store.write("lamp: alone", lambda _: [replace(now, id=None, rivals=())])
    store.erase("night")
    left = store.knowledge().find("lamp")
    assert left is not None
    assert (left.examples, left.negatives, left.rivals) == ((1, 2, 3), (7,), ())
    assert store.rollback(3).commands[0].rivals == (), "what was erased has left no trace in earlier versions"
    store.prune(0)
    assert len(store.examples([1, 2, 3, 7])) == 4


# -- what was heard and not acted upon


def test_layout_3_gains_what_was_heard(store: Store, folder: Path) -> None:
    before = digest(store, learn(store, "lamp"))
    store.close()
    for statement in (*LATER, "PRAGMA user_version = 3"):
        sql(folder, statement)
    with closing(Store(folder, "encoder")) as later:
        assert digest(later, later.knowledge()) == before
        assert sql(folder, "PRAGMA user_version") == [(LAYOUT,)]
        lamp = later.knowledge().commands[0]
        assert (lamp.fa_between, lamp.fa_hours, lamp.alike) == ((0, 0), 0, 1), "an earlier speakerd said nothing of it"
        later.overhear({lamp.examples[0]: Overheard(1, 2, 3)})
        assert later.overheard(lamp.examples[0]) == Overheard(1, 2, 3)


def test_what_was_heard_adds_up_over_the_last_days_and_is_one_model_s(store: Store, folder: Path) -> None:
    first = learn(store, "lamp").commands[0].examples[0]
    assert store.overheard(first) == NOTHING
    store.overhear({first: Overheard(0.5, 2, 1.5), 77: Overheard(9, 9, 9)})
    store.overhear({first: Overheard(0.25, 1, 0.5)})
    with closing(Store(folder, "encoder")) as again:
        assert again.overheard(first) == Overheard(0.75, 3, 2.0)
        assert again.overheard(77) == NOTHING, "nothing has that example"
    assert sql(folder, "SELECT COUNT(*) FROM talk") == [(1,)]
    sql(folder, "UPDATE talk SET day = day - ?", KEPT_DAYS - 1)
    store.overhear({first: Overheard(1, 1, 1)})
    assert store.overheard(first) == Overheard(1.75, 4, 3.0)
    sql(folder, "UPDATE talk SET day = day - 3")
    assert store.overheard(first) == Overheard(1, 1, 1)
    store.prune()
    assert sql(folder, "SELECT hours FROM talk") == [(1,)]
    with closing(Store(folder, "encoder", "other models")) as other:
        assert other.overheard(first) == NOTHING
    store.unhear()
    assert store.overheard(first) == NOTHING


def test_erasing_a_command_erases_what_was_heard_of_it(store: Store, folder: Path) -> None:
    lamp = learn(store, "lamp").commands[0].examples[0]
    door = learn(store, "door", 5).commands[0].examples[0]
    store.overhear({lamp: Overheard(1, 1, 1), door: Overheard(1, 2, 2)})
    forget(store, "lamp")
    store.erase("lamp")
    assert sql(folder, "SELECT example FROM talk") == [(door,)]
