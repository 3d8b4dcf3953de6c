"""The bundled encoder: that it streams, that it looks at nothing to come, what it refuses to load; not its quality."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import soxr

from speakerd.audio.files import from_flac, read_audio, to_flac
from speakerd.audio.segmenter import find_utterance
from speakerd.demo.truth import lessons
from speakerd.events import Samples, Utterance
from speakerd.house import Mind
from speakerd.recognition.encoder import BUNDLED, FRAME, ModelError, TrunkEncoder
from speakerd.recognition.world import World
from tests.recordings import room, said, speech

BUNDLED_CLIPS = [path for paths in lessons().values() for path in paths]


def found(samples: Samples) -> Utterance:
    utterance = find_utterance(samples)
    assert utterance is not None
    return utterance


def word(path: Path) -> Samples:
    """An utterance of a bundled clip with 200 ms of room before and after it."""
    utterance = found(read_audio(path))
    return utterance.samples[utterance.begin - 3200 : utterance.end + 3200]


# -- streaming


@pytest.mark.parametrize("block", [1, 37, 159, 1279, 1280, 1281, 5003, 16000])
def test_any_block_size_gives_the_frames_of_the_whole(mind: Mind, block: int) -> None:
    samples = speech(4 if block > 1 else 1)
    stream = mind.encoder.stream()
    pieces = [stream.push(samples[at : at + block]) for at in range(0, len(samples), block)]
    whole = mind.encoder.stream().push(samples)
    assert len(whole) == len(samples) // FRAME
    assert np.abs(np.concatenate([piece for piece in pieces if len(piece)]) - whole).max() < 1e-4


def test_a_frame_depends_on_nothing_that_comes_after_it(mind: Mind) -> None:
    samples, number = speech(3), 20
    end = (number + 1) * FRAME
    other = np.concatenate([samples[:end], room(2, level=-10)])
    one, two = mind.encoder.stream().push(samples), mind.encoder.stream().push(other)
    assert np.abs(one[: number + 1] - two[: number + 1]).max() < 1e-5
    assert np.abs(one[number + 1] - two[number + 1]).max() > 1e-3
    earlier = np.concatenate([samples[: end - FRAME], room(2, level=-10)])
    assert np.abs(one[number] - mind.encoder.stream().push(earlier)[number]).max() > 1e-3  # it does hear its own 80 ms


def test_streams_do_not_disturb_each_other(mind: Mind) -> None:
    samples = speech(2)
    whole = mind.encoder.stream().push(samples)
    one, two = mind.encoder.stream(), mind.encoder.stream()
    half = 10 * FRAME
    first = one.push(samples[:half])
    two.push(room(1, level=-10))
    assert np.abs(np.concatenate([first, one.push(samples[half:])]) - whole).max() < 1e-4


def test_runs_of_different_length_are_pooled_together_as_alone(mind: Mind) -> None:
    frames = mind.encoder.stream().push(speech(4))
    runs = [slice(3, 6), slice(10, 40), slice(0, 20)]
    together = mind.encoder.pool(frames, runs)
    assert together.shape == (3, mind.encoder.pooled)
    for run, embedding in zip(runs, together, strict=True):
        alone = frames[run]
        assert np.abs(mind.encoder.pool(alone, [slice(0, len(alone))])[0] - embedding).max() < 1e-4


# -- embeddings


def test_embedding_is_a_unit_vector_and_always_the_same(mind: Mind) -> None:
    utterances = [found(read_audio(path)) for path in BUNDLED_CLIPS]
    embeddings = [mind.encoder.embed(utterance) for utterance in utterances]
    assert all(embedding.shape == (mind.encoder.dimension,) for embedding in embeddings)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)
    with ThreadPoolExecutor(4) as threads:
        assert np.array_equal(list(threads.map(mind.encoder.embed, utterances * 3)), embeddings * 3)


def test_who_says_it_faster_or_slower_says_nearly_the_same(mind: Mind) -> None:
    """What is heard at two paces changes less with the pace than what is heard as it was said."""
    once, twice = [], []
    for path in BUNDLED_CLIPS:
        utterance = found(read_audio(path))
        for rate in (0.9, 1.1):
            played = soxr.resample(utterance.samples, 16000, round(16000 * rate))
            other = replace(
                utterance, samples=played, begin=round(utterance.begin * rate), end=round(utterance.end * rate)
            )
            twice.append(mind.encoder.embed(utterance) @ mind.encoder.embed(other))
            once.append(
                super(TrunkEncoder, mind.encoder).embed(utterance) @ super(TrunkEncoder, mind.encoder).embed(other)
            )
    assert np.mean(twice) > np.mean(once) + 0.02
    assert (np.array(twice) > np.array(once)).mean() > 0.8


@pytest.mark.parametrize("begin", [0, 320, 1280, 5440])
@pytest.mark.parametrize("seconds", [0.06, 0.2, 4.0])
def test_shortest_and_longest_utterance_have_embeddings(mind: Mind, begin: int, seconds: float) -> None:
    end = begin + round(seconds * 16000)
    for after in (0, 3200):
        embedding = mind.encoder.embed(Utterance(speech(6)[: end + after], begin, end, 0.0, 0.0))
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-4)


def test_only_the_utterance_and_a_little_around_it_is_pooled(mind: Mind) -> None:
    for path, other in pairwise(BUNDLED_CLIPS):
        utterance, before = found(read_audio(path)), read_audio(other)[: 20 * FRAME]
        usual = mind.encoder.embed(utterance)
        noisy = np.concatenate([utterance.samples[: utterance.end + 3840], room(1, level=-10)])
        assert np.allclose(mind.encoder.embed(replace(utterance, samples=noisy)), usual, atol=1e-4)
        moved = {"begin": utterance.begin + len(before), "end": utterance.end + len(before)}
        late = replace(utterance, samples=np.concatenate([before, utterance.samples]), **moved)
        assert mind.encoder.embed(late) @ usual > 0.85


SURROUNDINGS: dict[str, tuple[float, Callable[[Samples], Samples]]] = {
    "later": (0.9, lambda spoken: said(1.3, spoken, 1)),
    "half a frame later": (0.85, lambda spoken: said(1.01, spoken, 1)),
    "little before it": (0.8, lambda spoken: said(0.1, spoken, 1)),
    "long before it": (0.9, lambda spoken: said(3, spoken, 1)),
    "nothing after it": (0.95, lambda spoken: said(1, spoken)),
    "long after it": (0.99, lambda spoken: said(1, spoken, 3)),
    "digital silence around it": (0.8, lambda spoken: np.pad(spoken, 16000)),
    "half as loud": (0.85, lambda spoken: said(1, 0.5 * spoken, 1)),
    "kept as FLAC": (0.999, lambda spoken: from_flac(to_flac(said(1, spoken, 1)))),
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_what_is_around_an_utterance_changes_its_embedding_little(mind: Mind, surroundings: str) -> None:
    least, change = SURROUNDINGS[surroundings]
    words = [word(path) for path in BUNDLED_CLIPS]
    usual = [mind.encoder.embed(found(said(1, spoken, 1))) for spoken in words]
    moved = [mind.encoder.embed(found(change(spoken))) for spoken in words]
    likeness = [float(one @ other) for one, other in zip(usual, moved, strict=True)]
    assert min(likeness) > least


def test_different_phrases_are_less_alike_than_the_same_one(mind: Mind) -> None:
    taught = [[mind.encoder.embed(found(read_audio(path))) for path in paths] for paths in lessons().values()]
    same = [float(a @ b) for vectors in taught for i, a in enumerate(vectors) for b in vectors[:i]]
    different = [float(a @ b) for i, one in enumerate(taught) for two in taught[:i] for a in one for b in two]
    assert np.mean(same) > np.mean(different) + 0.2


# -- loading


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the bundled models."""
    return Path(shutil.copytree(BUNDLED, tmp_path / "models"))


def rewrite(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))


def fault(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        TrunkEncoder(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_copy_of_the_models_loads(models: Path, mind: Mind) -> None:
    assert TrunkEncoder(models).id == mind.encoder.id


@pytest.mark.parametrize("name", ["encoder.onnx", "pool.onnx"])
def test_missing_model_is_named(models: Path, name: str) -> None:
    (models / name).unlink()
    assert f"{name} is missing: reinstall" in fault(models)


@pytest.mark.parametrize("name", ["encoder.onnx", "pool.onnx"])
def test_damaged_model_is_named(models: Path, name: str) -> None:
    path = models / name
    content = path.read_bytes()
    for damaged in (b"", b"these are no weights", content[: len(content) // 2]):
        path.write_bytes(damaged)
        assert f"{name} is not a model that can be run" in fault(models)
    path.unlink()
    path.mkdir()
    assert f"{name} is not a model that can be run" in fault(models)


def test_model_of_another_format_is_refused(models: Path) -> None:
    rewrite(models / "pool.onnx", b"\x06format\x12\x012", b"\x06format\x12\x017")
    assert "pool.onnx is of format 7, this speakerd reads format 2" in fault(models)
    rewrite(models / "pool.onnx", b"\x06format\x12\x017", b"\x06farmat\x12\x017")
    assert "pool.onnx is of format unknown" in fault(models)


def test_encoder_and_pool_that_were_not_made_together_are_refused(models: Path) -> None:
    (named,) = [p.value for p in onnx.load(models / "pool.onnx").metadata_props if p.key == "id"]
    rewrite(models / "pool.onnx", named.encode(), b"0123456789abcdef")
    assert "were not made together" in fault(models)


def test_damaged_sounds_are_named(models: Path) -> None:
    (models / "sounds.npz").write_bytes(b"these are no sounds")
    assert "sounds.npz is damaged" in fault(models)


def test_without_sounds_it_is_another_encoder_and_its_world_is_refused(models: Path, mind: Mind) -> None:
    (models / "sounds.npz").unlink()
    encoder = TrunkEncoder(models)
    assert (encoder.dimension, encoder.pooled) == (mind.encoder.pooled, mind.encoder.pooled)
    with pytest.raises(ModelError, match=r"made for another encoder"):
        World.load(models / "world.npz", models / "adapt.onnx", encoder.id)


def test_an_embedding_has_its_course_in_any_company(mind: Mind) -> None:
    frames = mind.encoder.stream().push(speech(4))
    runs = [slice(3, 6), slice(10, 40), slice(0, 20)]
    together = mind.encoder.embeddings(mind.encoder.pool(frames, runs), frames, runs)
    assert together.shape == (3, mind.encoder.dimension)
    for run, embedding in zip(runs, together, strict=True):
        alone, whole = frames[run], [slice(0, run.stop - run.start)]
        assert (
            np.abs(mind.encoder.embeddings(mind.encoder.pool(alone, whole), alone, whole)[0] - embedding).max() < 1e-4
        )
