"""The shipped inner loop: what it learns from people's voices, and what it refuses to be."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from speakerd.audio.segmenter import find_utterance
from speakerd.house import Mind
from speakerd.recognition.encoder import BUNDLED, ModelError
from speakerd.recognition.head import Adapter, Matrix, scores
from speakerd.recognition.world import fine
from tests.running import CLIPS, clip

ADAPT = BUNDLED / "adapt.onnx"


@pytest.fixture(scope="module")
def adapter(mind: Mind) -> Adapter:
    return Adapter(ADAPT, mind.encoder.id)


@pytest.fixture(scope="module")
def said(mind: Mind) -> Matrix:
    """Three takes of each bundled command (commands, takes, dimension), in the world's space."""
    vectors = []
    for name in CLIPS:
        for take in range(3):
            found = find_utterance(clip(name, take))
            assert found is not None
            vectors.append(mind.encoder.embed(found))
    return mind.world.point(np.stack(vectors)).reshape(len(CLIPS), 3, -1)


def nothing(mind: Mind) -> Matrix:
    return np.zeros((0, mind.encoder.pooled), np.float32)


def test_commands_are_told_apart_and_strangers_kept_out(mind: Mind, adapter: Adapter, said: Matrix) -> None:
    """Two takes teach, the third is asked."""
    world, commands = mind.world, len(said)
    for asked in range(3):
        taught = np.delete(said, asked, axis=1).reshape(2 * commands, -1)
        member = np.repeat(np.eye(commands, dtype=np.float32), 2, axis=0)
        heads = adapter.adapt(taught, member, world.cohort, nothing(mind))
        assert heads.weights.shape == (commands, mind.encoder.pooled)
        assert heads.bias.shape == (commands,)
        found = scores(heads, said[:, asked], adapter.strangers(said[:, asked], world.cohort))
        strange = fine(world.impostors.vectors[:, : world.cohort.shape[1]])
        against = scores(heads, strange, adapter.strangers(strange, world.cohort))
        assert (found.argmax(axis=1) == np.arange(commands)).all()
        assert (found.max(axis=1) > np.quantile(against.max(axis=1), 0.99)).all()


def test_what_is_heard_in_the_room_scores_lower_from_then_on(mind: Mind, adapter: Adapter, said: Matrix) -> None:
    world, one = mind.world, np.ones((3, 1), np.float32)
    strange = fine(world.impostors.vectors[:, : world.cohort.shape[1]])
    disliked = strange[(strange @ said[0].mean(axis=0)).argsort()[-5:]]
    before, after = (
        scores(adapter.adapt(said[0], one, world.cohort, room), disliked, np.zeros((5, 2), np.float32))
        for room in (nothing(mind), disliked)
    )
    assert (after < before).all()


def test_after_a_rest_it_learns_the_same(mind: Mind, said: Matrix, tmp_path: Path) -> None:
    """Also where an upgrade has just taken the file away."""
    file, one = tmp_path / "adapt.onnx", np.ones((3, 1), np.float32)
    file.write_bytes(ADAPT.read_bytes())
    adapter = Adapter(file, mind.encoder.id)
    before = adapter.adapt(said[0], one, mind.world.cohort, nothing(mind))
    adapter.rest()
    file.unlink()
    after = adapter.adapt(said[0], one, mind.world.cohort, nothing(mind))
    assert (after.weights == before.weights).all() and (after.bias == before.bias).all()


def test_world_is_told_from_world(mind: Mind, adapter: Adapter, said: Matrix) -> None:
    """What is known of one world is not taken for another's."""
    one = np.ones((3, 1), np.float32)
    small, large = mind.world.cohort[:300], mind.world.cohort
    fresh = [Adapter(ADAPT, mind.encoder.id).adapt(said[0], one, w, nothing(mind)) for w in (small, large)]
    again = [adapter.adapt(said[0], one, w, nothing(mind)) for w in (small, large)]
    for expected, found in zip(fresh, again, strict=True):
        assert np.array_equal(expected.weights, found.weights)


def test_few_strangers_do(mind: Mind, adapter: Adapter, said: Matrix) -> None:
    one = np.ones((3, 1), np.float32)
    for many in (1, 50, 129):
        heads = adapter.adapt(said[0], one, mind.world.cohort[:many], nothing(mind))
        assert np.isfinite(heads.weights).all()


def test_room_counts_as_the_world_does(mind: Mind, adapter: Adapter, said: Matrix) -> None:
    one = np.ones((3, 1), np.float32)
    cohort = mind.world.cohort
    together, apart = (
        adapter.adapt(said[0], one, *w) for w in ((cohort, nothing(mind)), np.split(cohort, [len(cohort) * 5 // 6]))
    )
    np.testing.assert_allclose(together.weights, apart.weights, atol=1e-5)
    np.testing.assert_allclose(together.bias, apart.bias, atol=1e-5)


def test_no_head_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"adapt.onnx is missing: reinstall"):
        Adapter(tmp_path / "adapt.onnx", "any")


def test_damaged_head_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapt.onnx").write_bytes(ADAPT.read_bytes()[:500])
    with pytest.raises(ModelError, match=r"adapt.onnx is not a model that can be run"):
        Adapter(tmp_path / "adapt.onnx", "any")


def test_head_of_another_encoder_is_refused() -> None:
    with pytest.raises(ModelError, match=r"adapt.onnx was made for another encoder"):
        Adapter(ADAPT, "another")


def test_head_of_another_format_is_refused(mind: Mind, tmp_path: Path) -> None:
    model = onnx.load(ADAPT)
    about = {entry.key: entry.value for entry in model.metadata_props} | {"format": "99"}
    onnx.helper.set_model_props(model, about)
    onnx.save(model, tmp_path / "adapt.onnx")
    with pytest.raises(ModelError, match=r"of format 99, this speakerd reads format 2"):
        Adapter(tmp_path / "adapt.onnx", mind.encoder.id)
