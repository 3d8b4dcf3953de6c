from string import Formatter
from typing import get_args

import pytest
import yaml
from msgspec.structs import fields

from speakerd.config.settings import Speaking
from speakerd.speaking.phrases import FALLBACK, FOLDER, Phrases

LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def phrases(language: str) -> dict[str, str]:
    texts: dict[str, str] = yaml.safe_load((FOLDER / f"{language}.yaml").read_text())["phrases"]
    return texts


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_the_settings_offer_the_languages_that_there_are() -> None:
    (language,) = [field for field in fields(Speaking) if field.name == "language"]
    assert sorted(get_args(get_args(language.type)[0])) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_the_same_keys_and_placeholders(language: str) -> None:
    english, own = phrases(FALLBACK), phrases(language)
    assert own.keys() == english.keys()
    assert {key: placeholders(text) for key, text in own.items()} == {
        key: placeholders(text) for key, text in english.items()
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_to_be_filled_in_is_filled_in(language: str) -> None:
    text = Phrases(language).text("action", number=2, action="lamp")
    assert "2" in text
    assert "lamp" in text
    assert "{" not in text


def test_what_a_language_lacks_is_said_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    french = Phrases("fr")
    own = {key: text for key, text in phrases("fr").items() if key != "again"}
    monkeypatch.setattr(french, "_own", {"espeak": "fr-fr", "phrases": own})
    assert french.text("again") == Phrases("en").text("again")
    assert french.text("check") == phrases("fr")["check"]
