"""The teacher computed by torch is the published network, and its view of words is what the student is told."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from speakerd.audio.files import read_audio
from speakerd.demo.truth import STREAM
from speakerd.training import teacher as module
from speakerd.training.data import Pcm
from speakerd.training.scenes import Composition
from speakerd.training.teacher import HOP, MIDDLE, SHORTEST, SUMMARY, Scale, Teacher, summaries, targets
from tests.recordings import DATA

FILE = DATA.parent / "teacher/speech_embedding.onnx"


@pytest.fixture(scope="module")
def talk() -> Pcm:
    return (read_audio(STREAM)[: 12 * 16000] * 32767).astype(np.int16)


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Teacher:
    if not FILE.exists():
        pytest.skip(f"{FILE} is not there")
    monkeypatch.setattr(module, "BFLOAT16", False)  # exact, as on a machine that has no such thing
    return Teacher(FILE)


def published(pcm: Pcm) -> torch.Tensor:
    session = onnxruntime.InferenceSession(str(FILE), providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {session.get_inputs()[0].name: pcm.astype(np.float32) / 32768})
    return torch.from_numpy(out[:, :, 0])


def test_it_is_the_published_network(teacher: Teacher, talk: Pcm) -> None:
    scenes = talk.reshape(2, -1)
    expected = published(scenes)
    torch.testing.assert_close(teacher.frames(torch.from_numpy(scenes)), expected, atol=1e-3, rtol=1e-4)


def test_half_the_bits_make_hardly_a_difference(talk: Pcm) -> None:
    if not FILE.exists() or not module.BFLOAT16:
        pytest.skip(f"needs {FILE} and a processor that multiplies bfloat16")
    found, expected = Teacher(FILE).frames(torch.from_numpy(talk[None])), published(talk[None])
    assert torch.nn.functional.cosine_similarity(found, expected, dim=2).mean() > 0.999


def test_words_are_heard_alone_whatever_is_heard_beside_them(
    teacher: Teacher, talk: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPEEDS", (1.0,))
    draw = np.random.default_rng(0)
    clips = [
        talk[at : at + long] for at, long in zip(draw.integers(0, 90000, 9), draw.integers(5000, 44000, 9), strict=True)
    ]
    found = teacher.words(clips)
    assert found.shape == (9, SUMMARY)
    for clip, row in zip(clips, found, strict=True):
        room = max(SHORTEST, len(clip) + 8000)
        before = (room - len(clip)) // 2
        frames = published(np.pad(clip, (before, room - len(clip) - before))[None])[0]
        middles = np.arange(len(frames)) * HOP + MIDDLE
        inside = torch.from_numpy(np.abs(middles - room / 2) <= max(len(clip) / 2 - 1200, HOP))
        (expected,) = summaries(frames[inside][None], torch.ones(1, int(inside.sum())))
        torch.testing.assert_close(row, expected, atol=2e-3, rtol=1e-3)


def test_words_are_heard_at_several_speeds(teacher: Teacher, talk: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is made of them is nearer to what is made of the same, said slower."""
    word = talk[20000:36000]
    slower = np.interp(np.arange(0, len(word), 0.95), np.arange(len(word)), word).astype(np.int16)
    several = teacher.words([word, slower])
    monkeypatch.setattr(module, "SPEEDS", (1.0,))
    once = teacher.words([word, slower])
    assert (several[0] - several[1]).norm() < 0.8 * (once[0] - once[1]).norm()


def test_targets_are_in_one_scale_which_is_fitted_once_and_kept(teacher: Teacher, talk: Pcm, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    clips = [talk[at : at + 12000] for at in draw.integers(0, len(talk) - 12000, 40)]
    scenes = Composition(talk.reshape(2, -1), np.zeros((0, 6), np.int32), clips)
    found, scale = targets(teacher, scenes, None)
    assert found.frames.dtype == torch.float16
    flat = found.frames.float().flatten(0, 1)
    torch.testing.assert_close(flat.mean(dim=0), torch.zeros(96), atol=0.05, rtol=0)
    torch.testing.assert_close(flat.std(dim=0), torch.ones(96), atol=0.1, rtol=0)
    torch.testing.assert_close(found.words.norm(dim=1), torch.ones(40))
    scale.save(tmp_path / "scale.npz")
    again, same = targets(teacher, scenes, Scale.load(tmp_path / "scale.npz", "cpu"))
    torch.testing.assert_close(again.words, found.words)
    torch.testing.assert_close(same.whitening, scale.whitening)
