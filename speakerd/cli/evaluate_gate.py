"""``speakerd eval gate``: what the gate lets through."""

from pathlib import Path

import click
import msgspec

from speakerd.cli.common import Session, common

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("gate")
@click.option("--data", type=FOLDER, required=True, help="Words in Speech Commands layout, or several such.")
@click.option("--noise", type=FOLDER, multiple=True, required=True, help="Recordings of rooms in which nobody speaks.")
@click.option("--snr", type=float, default=10.0, help="How far commands are above the noise, in dB.")
@click.option("--clips", type=click.IntRange(1), default=400, help="So many commands, at random.")
@click.option("--seed", type=click.IntRange(0), default=0)
@common
def gate(session: Session, data: Path, noise: tuple[Path, ...], snr: float, clips: int, seed: int) -> None:
    """The share of frames of commands in noise, and of noise alone, that the gate lets through, for each
    gate.aggressiveness; for that of the settings also without gate.voices_only, and by the folders that the noise lies
    in."""
    import numpy as np

    from speakerd.errors import SpeakerdError
    from speakerd.evaluation.gate import measure
    from speakerd.evaluation.sounds import recordings

    words, rooms = recordings(data), [path for folder in noise for path in recordings(folder)]
    if not words or not rooms:
        raise SpeakerdError("there are no recordings in --data, or none in --noise")
    chosen = [words[i] for i in np.random.default_rng(seed).permutation(len(words))[:clips]]
    for line in measure(chosen, rooms, session.config.gate, snr, seed):
        kinds = "".join(f"\n  {share:6.1%} of {kind}" for kind, share in line.kinds.items())
        any_sound = "" if line.voices_only else ", any sound"
        session.say(
            msgspec.to_builtins(line),
            f"aggressiveness {line.aggressiveness}{any_sound}: {line.commands.mean:.1%} [{line.commands.low:.1%}, "
            f"{line.commands.high:.1%}] of commands at {snr:g} dB ({line.clips} clips), {line.rooms.mean:.1%} "
            f"[{line.rooms.low:.1%}, {line.rooms.high:.1%}] of rooms ({line.minutes:.1f} minutes)"
            f"{kinds if line.aggressiveness == session.config.gate.aggressiveness else ''}",
        )
