"""What the speaker says, in the languages that it speaks: a YAML file each in ``languages/``."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent / "languages"
FALLBACK = "en"


class Phrases:
    """The texts of one language. What a file lacks is said in English."""

    def __init__(self, language: str) -> None:
        self._own, self._fallback = _file(language), _file(FALLBACK)
        self.espeak: str = self._own["espeak"]

    def text(self, key: str, **values: Any) -> str:
        own: dict[str, str] = self._own["phrases"]
        return (own.get(key) or self._fallback["phrases"][key]).format(**values)


@cache
def _file(language: str) -> dict[str, Any]:
    texts: dict[str, Any] = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return texts
