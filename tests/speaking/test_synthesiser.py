"""espeak-ng itself, and a program that is called as piper is, whose voices cannot be installed here."""

from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import find_utterance
from speakerd.speaking.phrases import Phrases
from speakerd.speaking.synthesiser import Synthesiser, SynthesiserError
from tests.needs import need
from tests.speaking.test_phrases import LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_espeak_speaks_every_language(language: str) -> None:
    need("espeak-ng")
    phrases = Phrases(language)
    speech = Synthesiser(phrases.espeak).speech(phrases.text("ask_command"))
    assert 1 < len(speech) / SAMPLE_RATE < 6
    assert find_utterance(speech) is not None


def test_a_sentence_is_synthesised_once() -> None:
    need("espeak-ng")
    synthesiser = Synthesiser("en")
    assert synthesiser.speech("Again.") is synthesiser.speech("Again.")
    assert not np.array_equal(synthesiser.speech("Again."), synthesiser.speech("Hello."))


def test_text_is_not_taken_for_options() -> None:
    need("espeak-ng")
    assert len(Synthesiser("en").speech("--version, -h; $(ls)")) > SAMPLE_RATE


def test_a_voice_that_there_is_not_is_said_with_the_programs_words() -> None:
    need("espeak-ng")
    with pytest.raises(SynthesiserError, match=r"espeak-ng failed with the voice klingon-9: .*voice"):
        Synthesiser("klingon-9").speech("nuqneH")


def test_without_the_program_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SynthesiserError, match=r"espeak-ng is not installed \(sudo apt install espeak-ng\)"):
        Synthesiser("de")
    with pytest.raises(SynthesiserError, match=r"piper is not installed \(pip install piper-tts\)"):
        Synthesiser("/voices/de.onnx")


PIPER = """#!/bin/sh
[ "$1 $2 $3" = "--model /voices/de.onnx --output_file" ] && PATH=$SYSTEM exec espeak-ng -v de -w "$4" --stdin
echo "unknown call" >&2; exit 1
"""


def test_a_voice_of_piper_is_spoken_by_piper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need("espeak-ng")
    (tmp_path / "piper").write_text(PIPER)
    (tmp_path / "piper").chmod(0o755)
    monkeypatch.setenv("SYSTEM", "/usr/local/bin:/usr/bin:/bin")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(Synthesiser("/voices/de.onnx").speech("Guten Tag.")) > SAMPLE_RATE / 2
    with pytest.raises(SynthesiserError, match=r"piper failed with the voice /voices/fr.onnx: unknown call"):
        Synthesiser("/voices/fr.onnx").speech("Bonjour.")
