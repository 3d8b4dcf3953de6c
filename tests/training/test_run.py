"""`speakerd train` on a little of the real data: killed, gone on with, shipped, and used."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
import soundfile

from speakerd.recognition.encoder import TrunkEncoder
from speakerd.recognition.world import World
from speakerd.training.data import is_held_out
from tests.cli.conftest import Call, call
from tests.recordings import DATA
from tests.running import CLIPS, LAMP, NIGHT, SPEAKERD, lines, speakerd

__all__ = ["call"]

TEACHER = DATA.parent / "teacher/speech_embedding.onnx"
LEARNED = {"gsc": ["bed", "cat", "down", "go"]}
HELD = {"gsc": ["eight"], "arabic": ["ar_cancel"]}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # on a busy machine two wait for each other more than they work
SPEECH, NOISE = ["librispeech-0001", "librispeech-0004", "librispeech-0002"], 3


def of_each_speaker(corpus: str, word: str, many: int) -> Iterator[tuple[str, dict[str, str]]]:
    with (DATA / "words.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if (row["split"], row["corpus"], row["word"]) == ("train", corpus, word)
        ]
    yield from [(speaker, next(said)) for speaker, said in groupby(rows, lambda row: row["speaker"])][:many]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of everything, in the layout that training reads."""
    if not (DATA / "words.csv").exists() or not TEACHER.exists():
        pytest.skip(f"needs recordings and a teacher, and {DATA} or {TEACHER} is not there")
    folder = tmp_path_factory.mktemp("data")
    for corpora, many in ((LEARNED, 6), (HELD, 15)):
        for corpus, words in corpora.items():
            for word in words:
                assert is_held_out(f"{corpus}/{word}", 10) == (corpora is HELD)
                for speaker, row in of_each_speaker(corpus, word, many):
                    start, length = int(row["start"]), int(row["length"])
                    samples, rate = soundfile.read(DATA / row["shard"], start=start, frames=length)
                    path = folder / "words/train" / corpus / word / f"{speaker}_nohash_0.wav"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    soundfile.write(path, samples, rate)
    noise = sorted((DATA / "noise/train").glob("*.opus"))[:NOISE]
    for kind, files in (("speech", [DATA / f"speech/train/{name}.opus" for name in SPEECH]), ("noise", noise)):
        (folder / kind / "train/all").mkdir(parents=True)
        for file in files:
            (folder / kind / "train/all" / file.name).symlink_to(file)
    return folder


def reports(run: Path) -> list[dict[str, float]]:
    """What was logged of each epoch."""
    told = (run / "log.txt").read_text()
    return [json.loads(line.split(" ", 1)[1]) for line in told.splitlines() if '"epoch"' in line]


def test_a_run_that_is_killed_goes_on_and_ships_what_can_be_taught(data: Path, call: Call, tmp_path: Path) -> None:
    run, models = tmp_path / "run", tmp_path / "models"
    arguments = ["train", "--data", data, "--teacher", TEACHER, "--run", run, "--models", models, "--epochs"]
    call_of_50 = [SPEAKERD, *map(str, arguments), "50"]
    with subprocess.Popen(call_of_50, env=os.environ | ONE_THREAD, stderr=subprocess.PIPE, text=True) as training:
        assert training.stderr is not None
        for line in training.stderr:
            if '"epoch": 1' in line:
                break
        training.send_signal(signal.SIGKILL)
    assert (run / "checkpoint.pt").exists()
    assert not models.exists(), "nothing ships before it is done"
    before = len(reports(run))
    done = speakerd(*arguments, before + 2, "--json", env=ONE_THREAD, seconds=600)  # a minute where nobody else works
    assert done.returncode == 0, done.stderr
    assert lines(done) == [{"models": str(models)}]
    told = (run / "log.txt").read_text()
    (after,) = map(int, re.findall(r"going on after epoch (\d+)\n", told))
    assert after in (before, before + 1), "it was killed before it could say so"
    epochs = [report["epoch"] for report in reports(run)]
    assert epochs == [*range(1, before + 1), *range(after + 1, before + 3)], "no epoch twice, none left out"
    assert "24 clips of 4 words and 0 words said once; held out: 30 clips, 2 pieces of speech" in told

    other = speakerd(*arguments, 1, "--small", env=ONE_THREAD)
    assert other.returncode == 1
    assert "choose another --run" in other.stderr and "Traceback" not in other.stderr

    encoder = TrunkEncoder(models)
    world = World.load(models / "world.npz", models / "adapt.onnx", encoder.id)
    assert (encoder.name, encoder.pooled) == (f"speakerd-0-{before + 2}", 192)
    assert len(world.cohort) > 10 and len(world.lengths) > 10 and len(world.genuine) == 10
    config = tmp_path / "speakerd.yaml"
    config.write_text(f"recognition: {{models: '{models}'}}")
    at = ["--state", tmp_path / "state", "--config", config, "--json"]
    for name in (LAMP, NIGHT):
        assert call("enroll", name, *CLIPS[name], *at).exit_code == 0
    for name in (LAMP, NIGHT):
        (item,) = (json.loads(line) for line in call("score", CLIPS[name][0], *at).stdout.splitlines())
        assert item["command"] == name


def test_training_without_torch_says_what_to_install(data: Path, tmp_path: Path) -> None:
    without = "import sys; sys.modules['torch'] = None; from speakerd.cli import main; main()"
    arguments = ["train", "--data", data, "--teacher", TEACHER, "--run", tmp_path]
    call = [sys.executable, "-c", without, *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 1
    assert "script/setup train" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("without", "needed"),
    [("noise/train", "noise, 12 s at least"), ("speech/train", "running speech"), ("words/train/arabic", "held out")],
)
def test_what_would_end_badly_does_not_begin(data: Path, call: Call, tmp_path: Path, without: str, needed: str) -> None:
    some = shutil.copytree(data, tmp_path / "data", symlinks=True)
    shutil.rmtree(some / without)
    result = call("train", "--data", some, "--teacher", TEACHER, "--run", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"speakerd: {some}: too little to train with. More is needed of: ")
    assert needed in result.stderr
    assert result.stderr.count(";") == 0, "and of nothing else"


def test_a_lever_that_does_not_exist(data: Path, call: Call, tmp_path: Path) -> None:
    result = call("train", "--data", data, "--teacher", TEACHER, "--run", tmp_path / "run", "--without", "roms")
    assert result.exit_code == 2
    assert "there is no roms to go without, but frames, pieces, words" in result.stderr


def test_a_teacher_who_is_none(data: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "teacher.onnx").write_text("no network")
    result = call("train", "--data", data, "--teacher", tmp_path / "teacher.onnx", "--run", tmp_path / "run")
    assert result.exit_code == 1
    assert f"speakerd: {tmp_path}/teacher.onnx is not a model that can be run" in result.stderr


def test_data_without_words(data: Path, call: Call, tmp_path: Path) -> None:
    result = call("train", "--data", tmp_path, "--teacher", TEACHER, "--run", tmp_path / "run")
    assert result.exit_code == 1
    assert f"no recordings like {tmp_path}/words/train/" in result.stderr
