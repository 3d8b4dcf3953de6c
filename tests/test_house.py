"""Models are chosen by the settings, and what was taught with one encoder is never compared with another."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.files import read_audio
from speakerd.config import Config, Enrolment, Gate, Recognition
from speakerd.demo.truth import lessons
from speakerd.house import Mind
from speakerd.learning.enlarge import enlarge
from speakerd.learning.takes import judge_recording
from speakerd.recognition.encoder import ModelError
from speakerd.recognition.frames_encoder import FramesEncoder
from speakerd.recognition.head import Matrix
from speakerd.recognition.scoring import Matcher, learned
from speakerd.store.knowledge import Heads
from tests.recognition.foreign import write
from tests.recognition.worlds import world, write_adapter

TAKES = {
    name: [judge_recording(path.name, read_audio(path), Gate()) for path in paths] for name, paths in lessons().items()
}
LAMP, MUSIC, NIGHT = TAKES


@pytest.fixture
def foreign(tmp_path: Path) -> Config:
    """Settings with an encoder of another make that is ready for use."""
    path = write(tmp_path / "bands.onnx")
    encoder = FramesEncoder(path)
    usual = np.mean([encoder.embed(take.utterance) for takes in TAKES.values() for take in takes if take.utterance], 0)
    world(encoder=encoder.id, mean=usual).save(tmp_path / "bands.world.npz")
    write_adapter(tmp_path / "bands.adapt.onnx", encoder.id)
    return Config(recognition=Recognition(encoder=str(path)))


def heads(mind: Mind, name: str) -> Heads:
    """The heads of a command when ``mind`` hears its takes."""
    taken = [take.utterance for take in TAKES[name] if take.utterance]
    heard: list[Matrix] = [np.stack([mind.encoder.embed(each) for each in (one, *enlarge(one))]) for one in taken]
    return learned(mind.world, [mind.world.place(vectors) for vectors in heard], [None] * len(heard))[0]


def test_an_encoder_of_another_make_teaches_and_recognises(foreign: Config, tmp_path: Path) -> None:
    mind = Mind.load(foreign)
    assert (mind.encoder.name, mind.encoder.dimension) == ("bands", 16)
    household = mind.household(tmp_path / "state", foreign)
    for name, takes in TAKES.items():
        household.enroll(name, takes)
    for command in household.knowledge.commands:  # which may have been told apart from each other, by a little
        assert np.abs(command.heads.weights - heads(mind, command.name).weights).max() < 0.05
    matcher = Matcher(mind.world, household.knowledge.commands)
    match = matcher.match(mind.encoder.embed(TAKES[LAMP][0].utterance or pytest.fail()))
    assert match is not None and match.command == LAMP


def test_the_small_models_come_along_and_tell_commands_apart(mind: Mind, tmp_path: Path) -> None:
    config = Config(recognition=Recognition(models="small"))
    small = Mind.load(config)
    assert small.encoder.id != mind.encoder.id
    assert "small" in small.encoder.name
    household = small.household(tmp_path / "state", config)
    for name, takes in TAKES.items():
        household.enroll(name, takes[:2])
    matcher = Matcher(small.world, household.knowledge.commands)
    for name, takes in TAKES.items():
        match = matcher.match(small.encoder.embed(takes[2].utterance or pytest.fail()))
        assert match is not None
        assert match.command == name
        assert match.score >= match.threshold


def test_another_encoder_learns_again_from_kept_sound_and_back(mind: Mind, foreign: Config, tmp_path: Path) -> None:
    state = tmp_path / "state"
    before = mind.household(state, Config())
    for name, takes in TAKES.items():
        before.enroll(name, takes, action="do")
    other = Mind.load(foreign)
    after = other.household(state, foreign)
    assert after.history()[0].change == "derived again for the encoder bands"
    assert {c.heads.weights.shape[1] for c in after.knowledge.commands} == {16}
    assert [(c.name, c.action, c.examples) for c in after.knowledge.commands] == [
        (c.name, c.action, c.examples) for c in before.knowledge.commands
    ]
    for command in after.knowledge.commands:  # heard again, but for the 16 bits that were kept
        expected = heads(other, command.name)
        assert np.abs(command.heads.weights - expected.weights).max() < 0.02
        assert np.abs(command.heads.bias - expected.bias).max() < 0.02
    after.enroll(LAMP, TAKES[LAMP][:1])
    back = mind.household(state, Config())
    assert {c.heads.weights.shape[1] for c in back.knowledge.commands} == {mind.encoder.pooled}
    assert len(next(c for c in back.knowledge.commands if c.name == LAMP).examples) == 4
    after_again = other.household(state, foreign)
    undone = after_again.undo()  # also what is brought back is of the encoder in use
    assert undone
    assert {c.heads.weights.shape[1] for c in after_again.knowledge.commands} == {16}


def test_what_was_wrong_is_wrong_for_another_encoder_too(mind: Mind, foreign: Config, tmp_path: Path) -> None:
    state, utterance = tmp_path / "state", TAKES[NIGHT][0].utterance
    assert utterance is not None
    before = mind.household(state, Config())
    before.enroll(LAMP, TAKES[LAMP])
    negative = before.examples.made(utterance, "heard")
    before.revise("wrong", lambda now: [replace(now.commands[0], negatives=(-1,), id=None)], [negative])
    (command,) = Mind.load(foreign).household(state, foreign).knowledge.commands
    (kept,) = before.derivation.examples(command.negatives)
    assert kept.embeddings is not None  # by the first
    other = Mind.load(foreign).household(state, foreign)
    (kept,) = other.derivation.examples(command.negatives)
    assert kept.embeddings is not None and kept.embeddings.shape[1] == 16


def test_what_cannot_be_heard_again_is_to_be_taught_again(
    mind: Mind, foreign: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    mind.household(state, Config(enrolment=Enrolment(keep_audio=False))).enroll(LAMP, TAKES[LAMP])
    mind.household(state, Config()).enroll(NIGHT, TAKES[NIGHT])
    household = Mind.load(foreign).household(state, foreign)
    assert [c.name for c in household.knowledge.commands] == [NIGHT]
    assert f"without audio, to be taught again: {LAMP}" in caplog.text
    household.enroll(LAMP, TAKES[LAMP])
    assert {c.heads.weights.shape[1] for c in household.knowledge.commands} == {16}


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no world": (lambda folder: (folder / "bands.world.npz").unlink(), "`speakerd encoder .*bands.onnx --data DIR`"),
    "no head": (lambda folder: (folder / "bands.adapt.onnx").unlink(), "adapt.onnx is missing: .*`speakerd encoder "),
    "other weights": (lambda folder: write(folder / "bands.onnx", lowest=100.0), "was made for another encoder"),
    "another's world": (lambda folder: world().save(folder / "bands.world.npz"), "was made with another encoder"),
    "no model": (lambda folder: (folder / "bands.onnx").unlink(), "recognition.encoder names an ONNX file"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_missing_or_does_not_belong_together_is_named(foreign: Config, tmp_path: Path, what: str) -> None:
    change, words = CHANGES[what]
    change(tmp_path)
    with pytest.raises(ModelError, match=words):
        Mind.load(foreign)


def test_only_one_setting_chooses_the_encoder(foreign: Config) -> None:
    both = Recognition(models="models", encoder=foreign.recognition.encoder)
    with pytest.raises(ModelError, match=r"recognition\.encoder and recognition\.models are both set"):
        Mind.load(Config(recognition=both))
