"""Encoders of another make: that they stream, and what is said of those that cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import find_utterance
from speakerd.demo.truth import lessons
from speakerd.events import Utterance
from speakerd.recognition.encoder import BUNDLED, ModelError
from speakerd.recognition.frames_encoder import FramesEncoder, beside
from tests.recognition.foreign import ABOUT, HOP, write
from tests.recordings import room, speech


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "bands.onnx")


@pytest.fixture
def encoder(path: Path) -> FramesEncoder:
    return FramesEncoder(path)


@pytest.mark.parametrize("block", [37, 799, 800, 801, 16000])
def test_any_block_size_gives_the_frames_of_the_whole(encoder: FramesEncoder, block: int) -> None:
    samples = speech(4) * np.float32(0.2)  # the bundled voice is loud, and sums of loud samples differ by their order
    stream = encoder.stream()
    pieces = [stream.push(samples[at : at + block]) for at in range(0, len(samples), block)]
    whole = encoder.stream().push(samples)
    assert encoder.reach(len(whole)) <= len(samples) < encoder.reach(len(whole) + 1)
    assert np.abs(np.concatenate(pieces) - whole).max() < 1e-4


def test_the_middle_of_a_frame_is_where_its_number_says(encoder: FramesEncoder) -> None:
    samples = np.zeros(16000, np.float32)
    samples[9 * HOP - 50 : 9 * HOP + 50] = room(1, level=-10)[:100]
    frames = encoder.stream().push(samples)
    assert int(frames.sum(axis=1).argmax()) == 9


def test_embeddings_are_unit_vectors_of_the_utterance_alone(encoder: FramesEncoder) -> None:
    for clips in lessons().values():
        utterance = find_utterance(read_audio(clips[0]))
        assert utterance is not None
        usual = encoder.embed(utterance)
        assert usual.shape == (16,)
        assert np.linalg.norm(usual) == pytest.approx(1, abs=1e-5)
        end = encoder.reach(encoder.run_of(utterance.begin, utterance.end).stop)
        longer = np.concatenate([np.pad(utterance.samples, 16000)[16000 : 16000 + end], room(1, level=-10)])
        other = Utterance(longer, utterance.begin, utterance.end, 0.0, 0.0)
        assert np.abs(encoder.embed(other) - usual).max() < 1e-5
        assert len(encoder.pool(encoder.stream().push(longer), [slice(0, 2), slice(1, 3)])) == 2


@pytest.mark.parametrize(("begin", "end"), [(0, 10), (0, 64000), (5, 5)])
def test_shortest_and_longest_utterances_have_embeddings(encoder: FramesEncoder, begin: int, end: int) -> None:
    embedding = encoder.embed(Utterance(speech(5)[:end], begin, end, 0.0, 0.0))
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


def test_other_weights_are_another_encoder(encoder: FramesEncoder, tmp_path: Path) -> None:
    same, other = write(tmp_path / "same.onnx"), write(tmp_path / "other.onnx", lowest=100.0)
    assert FramesEncoder(same).id == encoder.id != FramesEncoder(other).id


# -- what cannot be used


def fault(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        FramesEncoder(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_file_that_does_not_say_what_it_is_is_answered_with_what_to_do(path: Path) -> None:
    told = fault(write(path, {"name": "bands", "hop": "800"}))
    assert "its metadata lack sample_rate, window, dimension. Add them with" in told
    assert f"`speakerd encoder {path} --name NAME --window SAMPLES --hop SAMPLES --data DIR`" in told


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"window": "a second"}, "must be numbers"),
        ({"sample_rate": "8000"}, "wants 8000 samples a second; speakerd has 16000"),
        ({"hop": "0"}, "hop and dimension must be at least 1"),
        ({"hop": "5000"}, "hop at most window"),
        ({"dimension": "96"}, "should give 1 x 96 numbers (window 4000, hop 800), and gave 1 x 16"),
        ({"hop": "400"}, "5200 samples should give 4 x 16 numbers (window 4000, hop 400), and gave 2 x 16"),
        ({"window": "3000"}, "does not take a waveform (1, 3000)"),
        ({"window": "12000"}, "12000 samples should give 1 x 16 numbers (window 12000, hop 800), and gave 11 x 16"),
    ],
)
def test_metadata_that_are_wrong_are_named(path: Path, wrong: dict[str, str], words: str) -> None:
    assert words in fault(write(path, ABOUT | wrong))


def test_what_is_no_encoder_of_this_kind_is_named(tmp_path: Path) -> None:
    assert "is missing: recognition.encoder names an ONNX file" in fault(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("these are no weights")
    assert "is not a model that can be run" in fault(tmp_path / "text.onnx")
    assert "its metadata lack window" in fault(BUNDLED / "encoder.onnx")


def test_missing_world_and_head_are_answered_with_what_to_do(path: Path) -> None:
    for missing in ("world.npz", "adapt.onnx"):
        with pytest.raises(ModelError, match=rf"bands.{missing} is missing.*`speakerd encoder {path} --data DIR`"):
            beside(path)
        path.with_suffix(f".{missing}").touch()
    assert beside(path) == (path.with_suffix(".world.npz"), path.with_suffix(".adapt.onnx"))
