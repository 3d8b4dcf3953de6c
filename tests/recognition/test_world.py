from pathlib import Path

import numpy as np
import pytest

from speakerd.recognition.encoder import ModelError
from speakerd.recognition.world import NEAREST, World, unit, whitening_of
from tests.recognition.worlds import DIMENSION, vectors, world


@pytest.fixture
def path(tmp_path: Path) -> Path:
    world().save(tmp_path / "world.npz")
    return tmp_path / "world.npz"


def test_world_comes_back_as_it_was_saved(path: Path) -> None:
    saved, loaded = world(), World.load(path, "small")
    assert np.array_equal(loaded.whitening, saved.whitening)
    assert np.array_equal(loaded.mean, saved.mean)
    assert np.abs(loaded.cohort - saved.cohort).max() < 1e-3  # half precision
    assert np.abs(loaded.impostors - saved.impostors).max() < 1e-3
    assert loaded.cohort.dtype == loaded.impostors.dtype == np.float32
    assert loaded.impostors_per_hour == saved.impostors_per_hour
    assert loaded.genuine == saved.genuine


def test_world_of_another_encoder_is_refused(path: Path) -> None:
    with pytest.raises(ModelError, match=r"world.npz was made with another encoder"):
        World.load(path, "other")


def test_missing_world_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"world.npz is missing or damaged .*reinstall"):
        World.load(tmp_path / "world.npz", "small")


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.95])
def test_cut_off_world_is_named(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: round(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(ModelError, match=r"world.npz is missing or damaged .*reinstall"):
        World.load(path, "small")


def test_damaged_world_is_named(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(1000, len(content) - 1000, 100):
        content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelError, match="missing or damaged"):
        World.load(path, "small")


def test_file_of_something_else_is_named(path: Path) -> None:
    np.savez(path, encoder=np.array("small"))
    with pytest.raises(ModelError, match="missing or damaged"):
        World.load(path, "small")
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ModelError, match="missing or damaged"):
        World.load(path, "small")


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


def test_whitened_embeddings_are_unit_vectors_of_any_shape() -> None:
    mean, matrix = vectors(1, 4)[0], vectors(DIMENSION, 5)
    shifted, embeddings = world(mean=mean, whitening=matrix), vectors(5, 3)
    whitened = shifted.whiten(embeddings)
    assert np.allclose(whitened, unit((embeddings - mean) @ matrix), atol=1e-6)
    assert np.allclose(np.linalg.norm(whitened, axis=1), 1, atol=1e-6)
    assert np.allclose(shifted.whiten(embeddings[2]), whitened[2], atol=1e-6)
    assert np.array_equal(unit(np.zeros(DIMENSION, np.float32)), np.zeros(DIMENSION))


def test_nearness_is_the_mean_of_the_nearest_strangers() -> None:
    small, some = world(), vectors(7, 3)
    for vector, near in zip(some, small.nearness(some), strict=True):
        cosines = sorted((float(vector @ stranger) for stranger in small.cohort), reverse=True)
        assert near == pytest.approx(np.mean(cosines[:NEAREST]), abs=1e-5)


def test_nearness_in_a_world_of_few_strangers() -> None:
    few, some = world(cohort=vectors(5, 1)), vectors(3, 3)
    assert np.allclose(few.nearness(some), (some @ few.cohort.T).mean(axis=1), atol=1e-6)
