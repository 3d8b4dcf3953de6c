"""``speakerd demo``: the whole way on bundled sound, with the truth beside what was heard."""

import tempfile
from pathlib import Path
from typing import Any

import click

from speakerd.audio.files import read_audio
from speakerd.audio.sources import FileSource
from speakerd.cli.common import Session, common, percent, rate
from speakerd.control.messages import Enroll, Recording
from speakerd.control.service import shown
from speakerd.demo.truth import STREAM, Outcome, compare, lessons, said_in_stream
from speakerd.events import Detection


@click.command()
@common
def demo(session: Session) -> None:
    """Learn three commands from bundled clips, find them in a minute of speech, compare with the truth.

    What it learns is gone afterwards, unless you give --state.
    """
    if session.state_option is not None:
        _demonstrate(session)
        return
    with tempfile.TemporaryDirectory(prefix="speakerd-demo-") as folder:
        _demonstrate(Session(Path(folder), session.config_path, session.json))


def _demonstrate(session: Session) -> None:
    _head(session, "Teaching three commands, from three clips each:")
    for name, clips in lessons().items():
        recordings = [Recording(str(clip), read_audio(clip).astype("<f4").tobytes()) for clip in clips]
        for item in session.ask(Enroll(name, recordings, replace=True)):
            session.say(item, _learned(item))
    said = said_in_stream()
    _head(session, f"\nListening to {said[-1].end:.0f} s of speech in which they occur:")
    outcomes = compare(said, _listen(session))
    width = max(len(_said(outcome)) for outcome in outcomes)
    _head(session, f"  {'at':>6}    {'said':{width}}  heard")
    for outcome in outcomes:
        session.say(_item(outcome), _line(outcome, width))
    commands = sum(one.command is not None for one in said)
    right = sum(outcome.heard is not None and outcome.verdict == "right" for outcome in outcomes)
    false = sum(outcome.verdict == "false" for outcome in outcomes)
    session.say(
        {"commands": commands, "right": right, "missed": commands - right, "false": false},
        f"\n{right} of {commands} commands heard, {false} false. These were synthetic voices; for yours:\n"
        f"  speakerd enroll NAME",
    )


def _listen(session: Session) -> list[Detection]:
    from speakerd.listening.loop import Loop
    from speakerd.listening.spotter import Spotter

    mind = session.mind
    heard: list[Detection] = []
    spotter = Spotter(mind.encoder, mind.world, session.config.gate, session.knowledge())
    Loop(FileSource(STREAM), spotter).run(heard.append)
    return heard


def _head(session: Session, words: str) -> None:
    if not session.json:
        print(words)


def _learned(item: dict[str, Any]) -> str | None:
    if "command" in item:
        return (
            f"  {item['command']}: expected to be missed {percent(item['expected_frr'])} of the time, "
            f"{rate(item['expected_fa_per_hour'])} false accepts per hour of talk"
        )
    return None if item["accepted"] else f"  {item['example']}: refused: {item['reason']}"


def _item(outcome: Outcome) -> dict[str, Any]:
    said, heard = outcome.said, outcome.heard
    return {
        "time": outcome.time,
        "said": said and said.text,
        "voice": said and said.voice,
        "truth": said and said.command,
        "heard": heard and shown(heard),
        "verdict": outcome.verdict,
    }


def _line(outcome: Outcome, width: int) -> str:
    heard = outcome.heard and shown(outcome.heard)  # to the same digits as --json has it
    what = f"{heard['command']} ({heard['score']:.2f}, threshold {heard['threshold']:.2f})" if heard else "-"
    mark = "" if outcome.verdict == "right" and heard is None else outcome.verdict
    return f"  {outcome.time:4.1f} s    {_said(outcome):{width}}  {what}  {mark}".rstrip()


def _said(outcome: Outcome) -> str:
    if outcome.said is None:
        return "(nothing)"
    return outcome.said.text if outcome.said.command else f"“{outcome.said.text}”"
