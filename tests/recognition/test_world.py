import math
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speakerd.recognition.course import unit
from speakerd.recognition.encoder import BUNDLED, ModelError
from speakerd.recognition.head import NEAREST, Adapter
from speakerd.recognition.world import Resting, World, coarse, fine, whitening_of
from speakerd.store.knowledge import Heads
from tests.recognition.worlds import DIMENSION, around, vectors, world, write_adapter

LEAN = 0.105  # of a score, for each deviation above strangers, before anything was meta-learned


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_adapter(tmp_path / "adapt.onnx")
    world().save(tmp_path / "world.npz")
    return tmp_path / "world.npz"


def load(path: Path, encoder: str = "small") -> World:
    """With the head beside it."""
    return World.load(path, path.with_name("adapt.onnx"), encoder)


def test_world_comes_back_as_it_was_saved(path: Path) -> None:
    saved, loaded = world(), load(path)
    assert np.array_equal(loaded.matrix, saved.matrix)
    assert np.array_equal(loaded.mean, saved.mean)
    assert np.abs(loaded.cohort - saved.cohort).max() < 1e-3  # half precision
    assert loaded.cohort.dtype == np.float32
    assert np.array_equal(loaded.impostors.vectors, saved.impostors.vectors)
    for part in ("near_impostors", "lengths"):
        assert np.array_equal(getattr(loaded, part), getattr(saved, part))
    assert (loaded.impostors_per_hour, loaded.clumped) == (saved.impostors_per_hour, saved.clumped)
    assert loaded.genuine == saved.genuine
    assert loaded.id == replace(saved, cohort=loaded.cohort).id  # the same head, too


def test_world_of_another_encoder_is_refused(path: Path) -> None:
    world(encoder="other").save(path)
    with pytest.raises(ModelError, match=r"world.npz was made with another encoder"):
        load(path)


def test_head_of_another_encoder_is_refused(path: Path) -> None:
    write_adapter(path.with_name("adapt.onnx"), "other")
    with pytest.raises(ModelError, match=r"adapt.onnx was made for another encoder"):
        load(path)


def test_missing_world_and_missing_head_are_named(path: Path) -> None:
    path.unlink()
    with pytest.raises(ModelError, match=r"world.npz is missing or damaged .*reinstall"):
        load(path)
    world().save(path)
    path.with_name("adapt.onnx").unlink()
    with pytest.raises(ModelError, match=r"adapt.onnx is missing: reinstall"):
        load(path)


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.95])
def test_cut_off_world_is_named(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: round(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(ModelError, match=r"world.npz is missing or damaged .*reinstall"):
        load(path)


def test_damaged_world_is_named(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(1000, len(content) - 1000, 100):
        content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelError, match="missing or damaged"):
        load(path)


def test_file_of_something_else_is_named(path: Path) -> None:
    np.savez(path, encoder=np.array("small"))
    with pytest.raises(ModelError, match="missing or damaged"):
        load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ModelError, match="missing or damaged"):
        load(path)


def test_a_world_of_before_is_refused(path: Path) -> None:
    """Nothing was known of courses."""
    np.savez(path, **{name: values for name, values in np.load(path).items() if "courses" not in name})
    with pytest.raises(ModelError, match="made by an earlier speakerd"):
        load(path)


def test_impostors_rest_until_they_are_asked_for(path: Path) -> None:
    loaded = load(path)
    before, resident = loaded.impostors.vectors, weakref.ref(loaded.impostors.vectors)
    kept = before.copy()
    loaded.rest()
    del before
    assert resident() is None
    other = world(impostors=Resting.of(coarse(vectors(2000, 7))))  # somebody installs other models meanwhile
    path.unlink()
    other.save(path)
    assert np.array_equal(loaded.impostors.vectors, kept)


def test_impostors_are_kept_coarsely() -> None:
    some = vectors(100, 3)
    assert np.abs(fine(coarse(some)) - some).max() <= 0.5 / 127 + 1e-6
    assert np.abs(fine(coarse(some)) @ some.T - some @ some.T).max() < 0.01


def test_whitening_makes_a_cloud_round() -> None:
    draw = np.random.default_rng(0)
    cloud = (draw.normal(size=(5000, 4)) * [1, 5, 0.2, 2]) @ draw.normal(size=(4, 4)) + [1, 2, 3, 4]
    mean, matrix = whitening_of(cloud.astype(np.float32), floor=0)
    assert np.allclose(np.cov(((cloud - mean) @ matrix).T), np.eye(4), atol=0.05)


def test_directions_in_which_nothing_varies_are_not_blown_up() -> None:
    flat = np.random.default_rng(0).normal(size=(1000, 4)).astype(np.float32)
    flat[:, 3] = 0.5
    mean, matrix = whitening_of(flat)
    assert np.abs(matrix).max() < 10
    assert np.isfinite((flat - mean) @ matrix).all()


def test_placed_embeddings_are_unit_vectors_of_any_shape() -> None:
    mean, matrix = vectors(1, 4)[0], vectors(DIMENSION, 5)
    shifted, embeddings = world(mean=mean, matrix=matrix), vectors(5, 3)
    placed = shifted.place(embeddings)
    assert np.allclose(placed, unit((embeddings - mean) @ matrix), atol=1e-6)
    assert np.allclose(np.linalg.norm(placed, axis=1), 1, atol=1e-6)
    assert np.allclose(shifted.place(embeddings[2]), placed[2], atol=1e-6)
    enlarged = shifted.place(vectors(12, 6).reshape(4, 3, DIMENSION))
    assert np.allclose(enlarged[1], shifted.place(vectors(12, 6)[3:6]), atol=1e-6)
    assert np.array_equal(unit(np.zeros(DIMENSION, np.float32)), np.zeros(DIMENSION))


@pytest.mark.parametrize("few", [1, 5, 300])
def test_strangers_are_those_of_the_cohort_that_come_nearest(few: int) -> None:
    small, some = world(cohort=vectors(few, 1)), vectors(7, 3)
    for vector, (mean, worth) in zip(some, small.strangers(some), strict=True):
        nearest = sorted((float(vector @ stranger) for stranger in small.cohort), reverse=True)[:NEAREST]
        assert mean == pytest.approx(np.mean(nearest), abs=1e-5)
        assert worth == pytest.approx(LEAN / math.sqrt(np.var(nearest) + 1e-6), rel=1e-3)
    assert small.strangers(some[:0]).shape == (0, 2)


def test_strangers_come_as_near_to_many_as_to_each_alone() -> None:
    small, many = world(), vectors(600, 3)  # more than are compared at once
    alone = np.concatenate([small.strangers(many[i : i + 1]) for i in (0, 255, 256, 599)])
    assert small.strangers(many)[[0, 255, 256, 599]] == pytest.approx(alone, rel=1e-4)


def test_command_is_compared_with_impostors_of_its_lengths() -> None:
    small = world(lengths=np.arange(2000) % 3)
    heads = Heads(vectors(2, 9), np.zeros(2, np.float32))
    all_of_them = small.against(heads, np.array([True, True, True]))
    some = small.against(heads, np.array([False, True, True]))
    assert all_of_them.shape == (2000, 2)
    assert np.array_equal(some, all_of_them[small.lengths > 0])


def test_whoever_stands_in_a_crowd_has_strangers_nearer() -> None:
    crowd = vectors(1, 20)
    crowded = world(cohort=np.concatenate([vectors(200, 1), around(crowd, 100, 0.5, 21)]))
    assert crowded.strangers(crowd)[0, 0] > crowded.strangers(vectors(50, 3))[:, 0].max() + 0.05


def test_worlds_are_told_apart_by_space_strangers_and_head(tmp_path: Path) -> None:
    head = Adapter(write_adapter(tmp_path / "adapt.onnx", "small too"), "small too")
    others = [
        world(mean=vectors(1, 4)[0]),
        world(matrix=vectors(DIMENSION, 5)),
        world(cohort=vectors(300, 6)),
        world(adapter=head),
    ]
    assert len({small.id for small in (world(), *others)}) == 5
    assert world().id == world().id


@pytest.mark.parametrize("models", [BUNDLED, BUNDLED / "small"])
def test_more_examples_are_not_expected_to_be_heard_less(models: Path) -> None:
    means = np.load(models / "world.npz")["genuine"][:, 0]
    assert len(means) == 10
    assert (np.diff(means) > -0.01).all(), "of few words there are so many speakers, and they are others"
