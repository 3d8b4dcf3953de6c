"""The bundled clips, and the names that they teach."""

from speakerd.audio.files import read_audio
from speakerd.demo.truth import lessons

LAMP, MUSIC, NIGHT = lessons()
CLIPS = {name: [read_audio(path) for path in paths] for name, paths in lessons().items()}
