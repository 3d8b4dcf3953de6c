"""`speakerd bench` measures a real daemon in real time; here in as little of it as possible."""

import json

import pytest

from speakerd.cli.science import bench


def test_all_lines_are_there_and_possible(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.callback is not None
    # The option asks for 10 seconds at least. With six commands each bundled one has another made of it, which must not
    # be so like it that nothing is heard.
    bench.callback(state=None, config=None, as_json=True, seconds=1, commands=6)
    told = {item["what"]: item for item in map(json.loads, capsys.readouterr().out.splitlines())}
    units = {what.split(":")[0].split(",")[0]: item["unit"] for what, item in told.items()}
    assert units == {
        "start": "s",
        "live": "s",
        "silence": "s/s",
        "speech": "s/s",
        "resident memory": "MB",
        "detection": "s",
    }
    value = {what.split(":")[0].split(",")[0]: item["value"] for what, item in told.items()}
    assert 0.1 < value["start"] < 30
    assert 0 < value["live"] < 10
    assert 0 <= value["silence"] < 0.5 and 0 <= value["speech"] < 0.5
    assert 30 < value["resident memory"] < 200
    assert 0.1 < value["detection"] < 3, "longer than the pause that ends an utterance"


def test_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench(["--seconds", "9"])
    assert "9 is not in the range x>=10" in capsys.readouterr().err
