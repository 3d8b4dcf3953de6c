"""The command line. Each group of commands has a module, imported when one of them is called."""

import importlib
import os

import click

from speakerd import __version__

# Matrices here are small: a second thread of numpy's would only spin. It reads this when it is imported, later.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_WHERE = {
    "run": "hear",
    "listen": "hear",
    "score": "hear",
    "demo": "demo",
    "enroll": "teach",
    "lesson": "teach",
    "commands": "known",
    "examples": "known",
    "discard": "known",
    "forget": "known",
    "rename": "known",
    "history": "known",
    "undo": "known",
    "rollback": "known",
    "mute": "switches",
    "unmute": "switches",
    "playing": "switches",
    "why": "heard",
    "wrong": "heard",
    "right": "heard",
    "example": "heard",
    "export": "carry",
    "import": "carry",
    "doctor": "doctor",
    "config": "settings",
    "eval": "evaluate",
    "bench": "science",
    "train": "science",
    "encoder": "encoder",
}

_PYTHONS = {"eval": "evaluate", "import": "import_"}  # names that Python has taken


class _Lazy(click.Group):
    """Imports a command's module only when it is needed: a Pi takes a second to import everything."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_WHERE)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _WHERE:
            return None
        module = importlib.import_module(f"speakerd.cli.{_WHERE[name]}")
        command = getattr(module, _PYTHONS.get(name, name))
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="speakerd")
def main() -> None:
    """Learns your own voice commands, on this machine, from about three examples each."""
