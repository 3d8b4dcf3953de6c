"""`speakerd eval stream` on recorded words: teaches, listens, counts."""

import json
import time
from pathlib import Path

import pytest
import soundfile
from msgspec.structs import replace

from speakerd.audio.segmenter import find_utterance
from speakerd.config import Config
from speakerd.evaluation.episodes import Support
from speakerd.evaluation.layouts import Surroundings, household, tasks
from speakerd.evaluation.stream_score import count
from speakerd.evaluation.stream_trial import BUDGETS, listen
from speakerd.evaluation.streams import Said, Stream, write
from speakerd.house import Mind
from tests.cli.conftest import Call
from tests.recordings import room, said, speech
from tests.running import CLIPS, clip


@pytest.fixture
def quiet(data: Path) -> Stream:
    """Each word three times in a quiet room, taught by one of the same voices, nearer."""
    pieces, labels, at = [], [], 0.0
    for name in [*CLIPS] * 3:
        samples = clip(name, 0)
        labels.append(Said(at + 1.0, at + 1.0 + len(samples) / 16000, name))
        pieces += [1.0, samples]
        at += 1.0 + len(samples) / 16000
    taught = {name: tuple(sorted((data / name).glob("p00_nohash_*.wav"))) for name in CLIPS}
    return Stream("bedroom", said(*pieces, 1.0), tuple(labels), taught, at)


def test_taught_commands_are_heard_by_the_product_itself(mind: Mind, quiet: Stream) -> None:
    heard = listen(mind, Config(), quiet)
    accepted = [fire for fire in heard.fires if fire.margin >= 0]
    found = count(heard.said, accepted)
    assert sum(latency == latency for latency in found.latency) >= 7, "of nine"
    assert found.false == (0, 0, 0)
    assert list(heard.promised) == list(BUDGETS)
    for name in CLIPS:
        thresholds = [heard.promised[budget][name] for budget in BUDGETS]
        assert thresholds == sorted(thresholds, reverse=True), "the more is allowed, the lower"
        assert thresholds[0] > thresholds[-1]


def test_what_a_lower_threshold_would_accept_is_told_when_it_would_be(mind: Mind, quiet: Stream) -> None:
    """Where talk goes on, a peak that is not accepted waits a second for a better one."""
    talk, pieces, labels, at = speech(4.0), [speech(4.0)], [], 5.0
    for name in CLIPS:
        utterance = find_utterance(clip(name))
        assert utterance is not None
        pieces += [utterance.samples[utterance.begin : utterance.end], talk]
        labels.append(Said(at, at + utterance.seconds, name))
        at += utterance.seconds + 4
    strict = replace(Config().listening, false_accepts_per_day=1e-12, highest_frr=1)
    stream = Stream("talk", said(1.0, *pieces, 1.0), tuple(labels), quiet.taught, at)
    heard = listen(mind, replace(Config(), listening=strict), stream)
    loose = [fire for fire in heard.fires if fire.score >= heard.promised[BUDGETS[-1]][fire.command]]
    assert loose and all(fire.margin < 0 for fire in loose)
    found = count(heard.said, loose)
    assert sum(latency == latency for latency in found.latency) >= 2, "of three"


def test_faster_than_real_time(mind: Mind, data: Path, speech: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "fan.wav", room(5.0, level=-30.0), 16000)
    (task,) = tasks(data, 2, None, Support.CROSS)
    began = time.process_time()
    stream = next(household(task, Surroundings.below([speech], [tmp_path]), 0.1, 0))
    listen(mind, Config(), stream)
    assert stream.seconds / (time.process_time() - began) > 50


def test_streams_that_were_kept_are_heard(call: Call, quiet: Stream, data: Path, tmp_path: Path) -> None:
    write(tmp_path / "kept", quiet)
    told = ["eval", "stream", "--data", data, "--shots", 2, "--read", tmp_path / "kept"]
    (line,) = map(json.loads, call(*told, "--json", "--markdown", file := tmp_path / "a.md").stdout.splitlines())
    assert (line["corpus"], line["streams"], line["said"]) == ("kept", 1, 9)
    assert line["hours"] == pytest.approx(quiet.seconds / 3600)
    assert [point["target"] for point in line["points"]] == [None, 0.1, 0.5, 1.0]
    assert line["points"][0]["frr"]["mean"] <= 2 / 9
    assert line["points"][1]["at_most"] == pytest.approx(3.0 / line["hours"], rel=0.01)
    points, promises = file.read_text().split("\n\n")
    assert len(points.splitlines()) == 2 + 4
    assert {row.count("|") for row in points.splitlines()} == {14}
    assert "0.1 (too short)" in points
    assert len(promises.splitlines()) == 2, "ten events are never expected in a minute"


def test_options_that_contradict(call: Call, data: Path) -> None:
    result = call("eval", "stream", "--data", data, "--read", data, "--speech", data)
    assert result.exit_code == 2
    assert "--read takes the streams as they are" in result.stderr
    result = call("eval", "stream", "--data", data)
    assert result.exit_code == 1
    assert "--speech and of --noise" in result.stderr
