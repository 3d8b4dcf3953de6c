import logging
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.listening.playing import PlayingSwitch
from tests.needs import need
from tests.running import eventually


def test_it_is_as_it_was_turned_and_off_again_after_its_time() -> None:
    switch = PlayingSwitch()
    assert not switch.on
    switch.turn(True)
    assert switch.on
    switch.turn(False)
    assert not switch.on
    switch.turn(True, 0.1)
    assert switch.on
    eventually(lambda: not switch.on)
    switch.turn(True, 1000)
    switch.turn(False)
    assert not switch.on


class Player:
    """A Music Player Daemon with one song and no loudspeaker."""

    def __init__(self, folder: Path) -> None:
        need("mpd")
        soundfile.write(folder / "song.wav", np.zeros(16000 * 60, np.float32), 16000)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._settings = folder / "mpd.conf"
        self._settings.write_text(
            f'music_directory "{folder}"\ndb_file "{folder}/db"\nbind_to_address "127.0.0.1"\nport "{self.port}"\n'
            'audio_output {\n type "null"\n name "none"\n}\n'
        )
        self.start()

    def start(self) -> None:
        log = subprocess.DEVNULL
        self._process = subprocess.Popen(["mpd", "--no-daemon", self._settings], stdout=log, stderr=log)
        eventually(lambda: self._answers("update"))

    def _answers(self, *commands: str) -> bool:
        try:
            self.ask(*commands)
        except ConnectionRefusedError:
            return False
        return True

    def ask(self, *commands: str) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection, connection.makefile("rw") as lines:
            lines.readline()
            for command in commands:
                lines.write(command + "\n")
                lines.flush()
                while not (line := lines.readline()).startswith("OK"):
                    assert line, f"{command}: no answer"
                    assert not line.startswith("ACK"), line

    def play(self) -> None:
        self.ask("clear", "add song.wav", "play")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    player = Player(tmp_path)
    yield player
    player.stop()


def test_it_does_as_mpd_does(player: Player, caplog: pytest.LogCaptureFixture) -> None:
    switch = PlayingSwitch()
    switch.follow(f"127.0.0.1:{player.port}")
    time.sleep(1.5)
    assert not switch.on
    player.play()
    eventually(lambda: switch.on)
    player.ask("pause 1")
    eventually(lambda: not switch.on)
    player.ask("pause 0")
    eventually(lambda: switch.on)
    player.stop()
    eventually(lambda: not switch.on)
    assert "does not say whether it plays" in caplog.text
    player.start()
    player.play()
    eventually(lambda: switch.on)
    switch.follow(None)
    assert not switch.on
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "mpd"])


def test_an_mpd_that_is_not_there_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        switch = PlayingSwitch()
        with caplog.at_level(logging.WARNING):
            switch.follow(f"127.0.0.1:{taken.getsockname()[1]}")
            eventually(lambda: "Connection refused" in caplog.text)
        assert not switch.on
        switch.follow(None)
