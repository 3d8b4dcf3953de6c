"""``speakerd run``, ``listen``, ``score``: everything that recognises."""

import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np

from speakerd.audio.condition import Condition, Watched
from speakerd.audio.files import AudioFileError, read_audio
from speakerd.audio.segmenter import FRAME, LONGEST, SHORTEST, find_utterance
from speakerd.audio.sources import FileSource, PcmSource, Source
from speakerd.cli.common import Session, bar, common
from speakerd.config import Config
from speakerd.control.messages import Watch
from speakerd.control.service import shown
from speakerd.control.socket import socket_of
from speakerd.errors import SpeakerdError
from speakerd.events import Detection, Samples, Utterance
from speakerd.recognition.scoring import Matcher

INPUT = click.Path(path_type=Path, allow_dash=True)


@click.command()
@click.option("--input", "given", type=INPUT, help="A file, or - for raw PCM on stdin, instead of the microphone.")
@common
def run(session: Session, given: Path | None) -> None:
    """The daemon: listen, act on what is heard, answer the other commands."""
    from speakerd.daemon import Daemon

    socket = socket_of(session.state)
    if "RUNTIME_DIRECTORY" in os.environ:  # under systemd, whatever the state is
        socket = Path(os.environ["RUNTIME_DIRECTORY"]) / "control.sock"
    Daemon(session.config_path, session.state, socket, lambda config: _source(given, config)).run()


@click.command()
@click.argument("given", metavar="[FILE]", required=False, type=INPUT)
@click.option("--all", "everything", is_flag=True, help="Also what came close and was not accepted.")
@common
def listen(session: Session, given: Path | None, everything: bool) -> None:
    """Print commands as they are heard: by the microphone, in FILE, or in raw 16 kHz 16-bit PCM on stdin (-)."""
    if given is None and session.daemon is not None:
        if sys.stdout.isatty() and not session.json:
            _with_meter(session.ask(Watch(everything, level=True)))
            return
        for item in session.ask(Watch(everything)):
            session.say(item, _words(item))
        return
    from speakerd.listening.loop import Loop
    from speakerd.listening.policy import Policy
    from speakerd.listening.speakers import Speakers
    from speakerd.listening.spotter import Spotter

    snapshot = session.snapshot()
    knowledge = snapshot.knowledge()
    if muted := session.muted():
        raise SpeakerdError(f"the speaker is {muted}; to listen all the same: speakerd unmute")
    if not knowledge.commands:
        logging.warning("nothing has been taught yet; begin with: speakerd enroll NAME")
    mind = session.mind
    spotter = Spotter(mind.encoder, mind.world, session.config.gate, knowledge)
    playing = session.switches.playing
    if given is None:
        playing.follow(session.config.listening.mpd)
    policy = Policy(session.config.listening, playing)
    speakers = Speakers(mind.world, snapshot.speakers())

    def heard(detection: Detection) -> None:
        detection = policy.judge(speakers.named(detection))
        if detection.accepted or everything:
            session.say(shown(detection), _words(shown(detection)))

    def going_on() -> None:
        if loop.waiting is not None:
            policy.interrupted()

    source = _source(given, session.config)
    loop = Loop(Watched(source, Condition()), spotter)
    try:
        loop.run(heard, going_on)
    except KeyboardInterrupt:
        source.close()


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--list",
    "listing",
    type=click.File(encoding="utf-8", errors="surrogateescape"),
    help="A file with one path a line.",
)
@common
def score(session: Session, files: tuple[Path, ...], listing: Any) -> None:
    """How recordings of one utterance each compare with all commands."""
    paths = [str(path) for path in files] + [line.rstrip("\n") for line in listing or () if line.strip()]
    if not paths:
        raise click.UsageError("give FILEs, or --list LISTFILE")
    knowledge = session.knowledge()
    if not knowledge.commands:
        raise SpeakerdError("nothing has been taught yet; begin with: speakerd enroll NAME")
    mind = session.mind
    matcher = Matcher(mind.world, knowledge.commands)

    def compared(path: str) -> tuple[dict[str, Any], str]:
        try:
            samples = read_audio(Path(path))
        except AudioFileError as error:
            return {"file": path, "error": str(error)}, f"{path}: {error}"
        utterance, reason = _spoken(samples, session.config)
        match = matcher.match(mind.encoder.embed(utterance))
        assert match is not None  # commands are known
        item = {
            "file": path,
            "command": match.command,
            "score": round(match.score, 4),
            "accepted": match.accepted and reason is None,
            "threshold": round(match.threshold, 4),
            "scores": {name: round(value, 4) for name, value in match.scores.items()},
            "reason": reason,
        }
        verdict = "accepted" if item["accepted"] else reason or "not accepted"
        return item, f"{path}: {match.command} {match.score:.2f} (threshold {match.threshold:.2f}) {verdict}"

    faults = 0
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for item, words in threads.map(compared, paths):
            session.say(item, words)
            faults += "error" in item
    if faults:
        raise SystemExit(1)


def _spoken(samples: Samples, config: Config) -> tuple[Utterance, str | None]:
    """The utterance of a recording, and why the spotter would not take it for a command, whatever it scores."""
    found = find_utterance(samples, config.gate)
    if found is None:
        samples = samples[: int(LONGEST * 16000)]
        whole = np.pad(samples, (0, max(0, FRAME - len(samples))))
        return Utterance(whole, 0, len(whole), 0.0, len(whole) / 16000), "no speech found"
    if found.seconds < SHORTEST:
        return found, f"too short ({found.seconds:.2f} s of speech)"
    if found.seconds > LONGEST:
        room = len(found.samples)
        return Utterance(
            found.samples, found.begin, room, found.start, found.decided
        ), f"too long ({found.seconds:.1f} s)"
    return found, None


def _source(given: Path | None, config: Config) -> Source:
    if given is None:
        from speakerd.audio.microphone import Microphone

        return Microphone(config.audio.device, config.audio.channel)
    return PcmSource(sys.stdin.buffer) if str(given) == "-" else FileSource(given)


def _with_meter(items: Iterator[dict[str, Any]]) -> None:
    """Detections above a live level meter, until they end."""
    from rich.console import Console
    from rich.live import Live

    with Live("", console=Console(emoji=False), transient=True, refresh_per_second=10) as live:
        for item in items:
            if "id" in item:
                live.console.print(_words(item), markup=False, highlight=False)
            elif item["microphone"] or item["waiting"]:
                live.update(f"  {item['microphone'] or item['waiting']}")
            else:
                live.update(bar(item["level_dbfs"], item["speech"]))


def _words(item: dict[str, Any]) -> str:
    rule = f"  {item['rule']}" if item["rule"] else ""
    verdict = rule if item["accepted"] else f"  not accepted{rule}"
    who = f"  by {item['speaker']}" if item["speaker"] else ""
    scored = f"{item['score']:.2f} (threshold {item['threshold']:.2f})"
    return f"{item['time']:9.2f} s  {item['command']}  {scored}{who}{verdict}"
