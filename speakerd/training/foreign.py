"""What an encoder of another make lacks to be of use here: metadata in its file, and a world beside it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from speakerd.audio.features import SAMPLE_RATE
from speakerd.errors import SpeakerdError
from speakerd.recognition.encoder import ModelError, open_model
from speakerd.recognition.frames_encoder import FramesEncoder
from speakerd.recognition.head import Adapter
from speakerd.training.data import read_corpora
from speakerd.training.meta.train import meta_train
from speakerd.training.world import build


def describe(path: Path, name: str, window: int, hop: int) -> None:
    """Write into the metadata of a model what it is; its dimension is found by trying it.

    Raises:
        ModelError: it does not take a waveform, or the file cannot be written.
    """
    session = open_model(path)
    try:
        (out,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, window), np.float32)})
    except Exception as error:  # onnxruntime has a family of exceptions of its own
        raise ModelError(
            f"{path} does not take a waveform (1, {window}) of float32: {str(error).splitlines()[0]}"
        ) from error
    model = onnx.load(path)
    about = {prop.key: prop.value for prop in model.metadata_props}
    about |= {"name": name, "sample_rate": str(SAMPLE_RATE), "window": str(window), "hop": str(hop)}
    helper.set_model_props(model, about | {"dimension": str(out.shape[-1])})
    whole = path.with_suffix(".new")
    try:
        onnx.save(model, whole)
        whole.replace(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror}): copy it to a folder of yours") from error


def make_world(path: Path, data: Path, say: Callable[[str], None]) -> Path:
    """Meta-learn a head for the encoder in ``path`` and make its world, both beside it, from recordings in ``data``
    (training/data.py has the layout). Returns where the world is.

    Raises:
        ModelError: the file is not an encoder.
        SpeakerdError: too few recordings.
    """
    encoder = FramesEncoder(path)
    say(f"reading {data}")
    try:
        corpora = read_corpora(data)
    except FileNotFoundError as error:
        raise SpeakerdError(str(error)) from error
    if lacks := corpora.lacks():
        raise SpeakerdError(f"{data}: too little to go by. More is needed of: {'; '.join(lacks)}")
    say(f"{encoder.name} hears {len(corpora.held_words)} words and {len(corpora.held_speech)} pieces of speech")
    made, adapt = path.with_suffix(".world.npz"), path.with_suffix(".adapt.onnx")
    head = meta_train(encoder, corpora, adapt)
    build(encoder, corpora, Adapter(adapt, encoder.id), (head.mean, head.matrix)).save(made)
    return made
