"""``speakerd commands``, ``examples``, ``discard``, ``forget``, ``rename``, ``history``, ``undo``, ``rollback``."""

import sys
import time
from typing import Any

import click

from speakerd.cli.common import Session, common, percent, rate, rates
from speakerd.control.messages import Commands, Discard, Forget, History, Rename, Rollback, Undo, summary
from speakerd.errors import SpeakerdError
from speakerd.store.knowledge import same_name


@click.command()
@common
def commands(session: Session) -> None:
    """What is known, and what to expect of it."""
    known = [summary(command) for command in session.knowledge().commands]
    if not known and not session.json:
        print("Nothing has been taught yet. Begin with: speakerd enroll NAME")
        return
    if session.json:
        for item in known:
            session.say(item)
        return
    _table(
        ["command", "examples", "threshold", "false/h", "misses", "action", ""],
        [
            [
                item["command"],
                str(item["examples"]),
                f"{item['threshold']:.2f}",
                f"{rate(item['expected_fa_per_hour'])} ({rates(*item['expected_fa_between'])})",
                percent(item["expected_frr"]),
                item["action"] or "",
                ", ".join(word for word in ("over budget", "extrapolated") if item[word.replace(" ", "_")]),
            ]
            for item in known
        ],
    )
    print(
        "false/h: expected false accepts per hour of talk, and where that lies with 95 % certainty; extrapolated: there"
    )
    print("has not been enough talk yet, here and elsewhere, to show that so few happen")


@click.command()
@click.argument("name", required=False)
@common
def examples(session: Session, name: str | None) -> None:
    """The kept examples, of NAME or of all commands, and which commands are close to one another."""
    found = [item for item in session.ask(Commands()) if name is None or same_name(item["command"], name)]
    if name is not None and not found:
        raise SpeakerdError(f"{name} is not a known command; `speakerd commands` lists them")
    for item in found:
        if session.json:
            session.say(item)
            continue
        close = f"  sounds like {', '.join(item['close'])}" if item["close"] else ""
        print(f"{item['command']}{close}")
        rows = [
            [
                str(kept["example"]),
                f"{kept['seconds']:.1f} s",
                kept["source"],
                kept["speaker"] or "",
                kept["doubt"] or "",
            ]
            for kept in item["kept"]
        ]
        _table(["example", "speech", "source", "by", "doubt"], rows)


@click.command()
@click.argument("example", type=click.IntRange(0, 2**63 - 1))
@common
def discard(session: Session, example: int) -> None:
    """Let go of one EXAMPLE (`examples` lists them). `undo` brings it back."""
    for item in session.ask(Discard(example)):
        session.say(item, f"{item['command']}: example {example} is gone, {item['examples']} are left")


@click.command()
@click.argument("name")
@click.option("--erase", is_flag=True, help="Leave no trace of it, at once; this cannot be undone.")
@common
def forget(session: Session, name: str, erase: bool) -> None:
    """Forget a command. For 30 days `undo` or `rollback` bring it back."""
    for item in session.ask(Forget(name, erase)):
        session.say(item, f"{name}: erased" if erase else f"{name}: forgotten. `speakerd undo` brings it back")


@click.command()
@click.argument("old")
@click.argument("new")
@common
def rename(session: Session, old: str, new: str) -> None:
    """Give a command another name."""
    for item in session.ask(Rename(old, new)):
        session.say(item, f"{old} is now called {item['command']}")


@click.command()
@common
def history(session: Session) -> None:
    """Every change, the newest first."""
    items = list(session.ask(History()))
    if session.json:
        for item in items:
            session.say(item)
        return
    rows = [
        [
            f"{item['version']}{' *' if item['current'] else ''}",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(item["made"])),
            item["change"],
            ", ".join(item["commands"]),
        ]
        for item in items
    ]
    _table(["version", "when", "what", "known then"], rows)


@click.command()
@common
def undo(session: Session) -> None:
    """Take the last change back; once more, the one before."""
    for item in session.ask(Undo()):
        session.say(item, item["change"])


@click.command()
@click.argument("version", type=click.IntRange(0, 2**63 - 1))
@common
def rollback(session: Session, version: int) -> None:
    """Bring back an older VERSION (`history` lists them)."""
    for item in session.ask(Rollback(version)):
        session.say(item, f"back to version {version}")


def _table(heads: list[str], rows: list[list[Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    wide = None if sys.stdout.isatty() else 200  # what is piped is for grep
    Console(emoji=False, width=wide).print(table, markup=False)
