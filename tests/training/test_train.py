"""The parts of the training loop, and that it learns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from speakerd.errors import SpeakerdError
from speakerd.training.augment import Augment, features
from speakerd.training.model import SMALL
from speakerd.training.scenes import SCENE, compose
from speakerd.training.teacher import LAG, SUMMARY, Scale, Targets, summaries
from speakerd.training.train import (
    FRAME,
    Student,
    batch_of,
    gather,
    heard_in_rooms,
    learning_rate,
    loss_of,
    piece_targets,
    pieces,
    windows,
)
from tests.recordings import room
from tests.training.tones import corpora

TEACHER_FRAMES = (SCENE - 12400) // FRAME + 1  # what the teacher gives for a scene
PLAIN = Scale(torch.zeros(96), torch.ones(96), torch.zeros(SUMMARY), torch.eye(SUMMARY))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate(step, 5000, 2e-3) for step in range(5001)]
    assert rates[0] == pytest.approx(2e-3 / 300, rel=1e-3)
    assert max(rates) == pytest.approx(2e-3, rel=0.02)
    assert 290 <= int(np.argmax(rates)) <= 310
    assert rates[-1] == pytest.approx(2e-5, rel=1e-3)
    assert (np.diff(rates[310:]) < 0).all()


def test_windows_cover_the_word_with_blurred_ends() -> None:
    spans = torch.tensor([[0, 0, 4000], [0, 40000, 50000], [1, SCENE - 4000, SCENE], [1, 50000, 50500]]).repeat(200, 1)
    first, count = windows(spans, generator())
    assert (first >= 0).all() and (count >= 3).all() and (first + count <= SCENE // FRAME).all()
    begin, end = first[1::4] * FRAME, (first + count)[1::4] * FRAME
    assert (begin <= 40000 + 0.06 * 16000).all() and (begin > 40000 - 0.24 * 16000 - FRAME).all()
    assert (end > 50000 + 0.02 * 16000 - FRAME).all() and (end <= 50000 + 0.32 * 16000).all()
    assert len(set(first[1::4].tolist())) >= 3, "not always the same"


def test_runs_are_gathered_with_their_mask() -> None:
    frames = torch.arange(2 * 20).reshape(2, 20, 1).float()
    scene, first, count = torch.tensor([0, 1, 1]), torch.tensor([0, 5, 18]), torch.tensor([4, 2, 2])
    runs, mask = gather(frames, scene, first, count)
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]
    assert [run[:n, 0].tolist() for run, n in zip(runs, count, strict=True)] == [[0, 1, 2, 3], [25, 26], [38, 39]]


def test_pieces_lie_where_both_have_frames_and_get_the_summary_of_the_teachers() -> None:
    target = torch.randn(3, TEACHER_FRAMES, 96, generator=generator(1))
    scene, first, count = pieces(3, generator(2))
    assert len(scene) == 18
    assert (first >= LAG).all() and (first + count <= SCENE // FRAME).all()
    begin = first - LAG + 4
    assert (begin + count <= TEACHER_FRAMES).all()
    got = piece_targets(target, PLAIN, scene, first, count)
    for i in range(18):
        (summary,) = summaries(target[scene[i], begin[i] : begin[i] + count[i]][None], torch.ones(1, int(count[i])))
        torch.testing.assert_close(got[i], summary / summary.norm(), atol=1e-5, rtol=0)


def test_a_batch_holds_the_words_of_its_scenes() -> None:
    composition = compose(corpora(), seed=1)
    many = len(composition.pcm)
    target = Targets(
        torch.arange(many).half()[:, None, None].expand(-1, TEACHER_FRAMES, 96),
        torch.arange(len(composition.spans)).float()[:, None].expand(-1, SUMMARY),
    )
    chunk = np.array([many - 1, 0])
    pcm, spans, frames, words = batch_of(torch.from_numpy(composition.pcm), composition.spans, target, chunk)
    np.testing.assert_array_equal(pcm.numpy(), composition.pcm[chunk])
    assert frames[:, 0, 0].tolist() == [many - 1, 0]
    inside = np.isin(composition.spans[:, 0], chunk)
    assert len(spans) == inside.sum() > 0
    for row, word in zip(spans.numpy(), words.numpy(), strict=True):
        original = composition.spans[row[5]]
        assert chunk[row[0]] == original[0]
        np.testing.assert_array_equal(row[1:], original[1:])
        assert word[0] == row[5]


def test_it_learns() -> None:
    """A few steps on a few scenes, after a teacher who repeats what the features say."""
    torch.manual_seed(0)
    composition = compose(corpora(), seed=1, limit=2)
    matrix = torch.randn(40, 96, generator=generator(3)) / 6
    heard = features(torch.from_numpy(composition.pcm.astype(np.float32) / 32768)) + 5
    frames = (heard @ matrix)[:, 70 : 70 + 8 * TEACHER_FRAMES : 8]
    names = torch.from_numpy(composition.spans[:, 3].astype(np.int64) + 1)
    words = torch.nn.functional.normalize(torch.randn(10, SUMMARY, generator=generator(4)), dim=1)[names]
    batch = batch_of(torch.from_numpy(composition.pcm), composition.spans, Targets(frames.half(), words), np.arange(2))
    student = Student(6, 2)
    augment = Augment(torch.from_numpy(room(8.0, level=-40.0)), 5)
    optimizer = torch.optim.AdamW(student.parameters(), lr=2e-3)
    told = []
    for _ in range(12):
        loss, parts = loss_of(student, batch, heard_in_rooms(batch[0], augment), PLAIN, generator(6))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        told.append(parts)
    assert {"frames", "words", "pieces", "often"} <= set(told[0])
    for name in ("frames", "words", "often"):
        first, last = (np.mean([parts[name] for parts in some]) for some in (told[:2], told[-2:]))
        assert last < 0.9 * first, name


def test_a_run_can_begin_with_what_another_has_learned(tmp_path: Path) -> None:
    torch.manual_seed(0)
    earlier, later = Student(6, 2).eval(), Student(9, 4).eval()
    torch.save(earlier.learned(), tmp_path / "student.pt")
    later.begin_with(tmp_path / "student.pt")
    heard = torch.randn(1, 40, 40, generator=generator(1))
    mask = torch.ones(1, 5)
    with torch.no_grad():
        one, other = (student.head(student.trunk(heard)[0], mask) for student in (earlier, later))
    torch.testing.assert_close(one, other, atol=0.01, rtol=0)
    assert len(later.often.weight) == 9, "the words are its own"


def test_what_is_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"trunk.stem.weight": torch.zeros(3)}, tmp_path / "small.pt")
    (tmp_path / "no.pt").write_text("nothing of the kind")
    for name in ("small.pt", "no.pt"):
        with pytest.raises(SpeakerdError, match=name):
            Student(6, 2).begin_with(tmp_path / name)


def test_what_it_goes_without_is_no_part_of_the_loss() -> None:
    composition = compose(corpora(), seed=1, limit=2)
    draw = generator(3)
    target = Targets(
        torch.randn(2, TEACHER_FRAMES, 96, generator=draw).half(),
        torch.nn.functional.normalize(torch.randn(len(composition.spans), SUMMARY, generator=draw), dim=1),
    )
    batch = batch_of(torch.from_numpy(composition.pcm), composition.spans, target, np.arange(2))
    torch.manual_seed(0)
    student = Student(6, 2, SMALL).eval()
    heard = heard_in_rooms(batch[0], None)
    whole, parts = loss_of(student, batch, heard, PLAIN, generator(6))
    less, left = loss_of(student, batch, heard, PLAIN, generator(6), frozenset({"pieces", "often"}))
    assert set(parts) - set(left) == {"pieces", "often"}
    torch.testing.assert_close(less, whole - parts["pieces"] - parts["often"])


def test_without_rooms_it_hears_what_was_recorded() -> None:
    pcm = torch.from_numpy(compose(corpora(), seed=1, limit=2).pcm)
    plain = features(pcm.float() / 32768)
    assert (heard_in_rooms(pcm, None) == plain).all()
    augment = Augment(torch.from_numpy(room(8.0, level=-40.0)), 5)
    assert (heard_in_rooms(pcm, augment) != plain).float().mean() > 0.9
