"""Text to speech with a synthesiser of this machine: espeak-ng, or piper with a voice that the settings name."""

import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from speakerd.audio.files import AudioFileError, read_audio
from speakerd.errors import SpeakerdError
from speakerd.events import Samples

WITHIN = 20.0  # seconds for a sentence: piper loads its voice each time, which takes a Pi some of them
REMEMBERED = 16  # sentences that are kept, since a lesson says some of them often


class SynthesiserError(SpeakerdError):
    """It cannot be said; the message says why."""


class Synthesiser:
    """``voice``: a piper voice (its file, ``NAME.onnx``), or the name of one of espeak-ng's.

    Raises:
        SynthesiserError: the program is not installed.
    """

    def __init__(self, voice: str) -> None:
        self._piper = voice.endswith(".onnx")
        self._voice = voice
        self._program = "piper" if self._piper else "espeak-ng"
        if shutil.which(self._program) is None:
            how = "pip install piper-tts" if self._piper else "sudo apt install espeak-ng"
            raise SynthesiserError(f"{self._program} is not installed ({how})")
        self.speech = lru_cache(REMEMBERED)(self._speech)

    def _speech(self, text: str) -> Samples:
        """The text as it sounds, (samples,).

        Raises:
            SynthesiserError: the program fails.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "speech.wav")
            if self._piper:
                call = ["piper", "--model", self._voice, "--output_file", str(file)]
            else:
                call = ["espeak-ng", "-v", self._voice, "-w", str(file), "--stdin"]
            try:
                subprocess.run(call, input=text.encode(), capture_output=True, check=True, timeout=WITHIN)
                return read_audio(file)
            except subprocess.CalledProcessError as error:
                said = error.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1]
                raise SynthesiserError(f"{self._program} failed with the voice {self._voice}: {said}") from error
            except subprocess.TimeoutExpired as error:
                raise SynthesiserError(f"{self._program} took more than {WITHIN:.0f} s over one sentence") from error
            except (OSError, AudioFileError) as error:
                raise SynthesiserError(f"{self._program} gave no speech: {error}") from error
