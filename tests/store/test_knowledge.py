import unicodedata

import numpy as np
import pytest

from speakerd.store.knowledge import BadNameError, Command, Heads, Knowledge, begins, same_name, tidy_name


@pytest.mark.parametrize(
    "name",
    [
        "lamp",
        "Licht aus",
        "你好吗",
        "اطفئ النور",
        "ein/aus",
        "💡",
        "👨‍👩‍👧 home",
        "a.b",
        "-x",
        "x" * 80,
        "💡" * 80,
        "'; DROP TABLE",
    ],
)
def test_names_people_use_stay_as_they_are(name: str) -> None:
    assert tidy_name(name) == name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" lamp ", "lamp"),
        ("\tlamp\n", "lamp"),
        ("\u3000ランプ", "ランプ"),
        ("Ku\u0308che", "Küche"),
        ("x" * 80 + "  ", "x" * 80),
    ],
)
def test_names_are_trimmed_and_composed(given: str, kept: str) -> None:
    assert tidy_name(given) == kept
    assert unicodedata.is_normalized("NFC", tidy_name(given))


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u3000", "\u200b", " \u200e\u2060 "])
def test_name_of_nothing_visible_is_refused(name: str) -> None:
    with pytest.raises(BadNameError, match="this one is empty"):
        tidy_name(name)


@pytest.mark.parametrize("name", ["lamp\x00", "la\nmp", "la\tmp", "\x1b[31mlamp", "la\u2028mp", "la\x85mp", "\udcff"])
def test_control_characters_are_refused(name: str) -> None:
    with pytest.raises(BadNameError, match="control characters") as caught:
        tidy_name(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("name", "length"), [("x" * 81, 81), ("y" * 300, 300), ("💡" * 81, 81)])
def test_long_names_are_refused_and_not_repeated_whole(name: str, length: int) -> None:
    with pytest.raises(BadNameError, match=f"{length} characters long, at most 80") as caught:
        tidy_name(name)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Lamp", "lAMP", True),
        ("Küche", "KU\u0308CHE", True),
        ("straße", "STRASSE", True),
        (" lamp ", "lamp", True),
        ("lamp", "lamps", False),
        ("lamp one", "lampone", False),
        ("é", "e", False),
    ],
)
def test_names_are_compared_without_regard_to_case_and_composition(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same
    assert same_name(other, one) is same


def test_command_is_found_by_any_spelling() -> None:
    command = Command(
        "Küche hell", None, 0, 0, 0, False, Heads(np.zeros((1, 2), np.float32), np.zeros(1, np.float32)), (None,)
    )
    knowledge = Knowledge(1, "e", (command,))
    assert knowledge.find("KÜCHE HELL") is command
    assert knowledge.find("Küche") is None


@pytest.mark.parametrize("count", [1, 3])
def test_heads_come_back_from_their_bytes_to_the_last_bit(count: int) -> None:
    draw = np.random.default_rng(count)
    heads = Heads(draw.normal(size=(count, 5)).astype(np.float32), draw.normal(size=count).astype(np.float32))
    stored = heads.to_bytes()
    assert len(stored) == count * (5 + 1) * 4
    back = Heads.from_bytes(stored, count)
    assert np.array_equal(back.weights, heads.weights)
    assert np.array_equal(back.bias, heads.bias)


@pytest.mark.parametrize(
    ("name", "other", "so"),
    [
        ("lights", "Lights off", True),
        ("lights off", "lights", False),
        ("lights", "lights", False),
        ("command 1", "command 10", False),
        ("command 1", "command 1 b", True),
        ("开灯", "开灯吧", True),
    ],
)
def test_one_name_begins_another(name: str, other: str, so: bool) -> None:
    assert begins(name, other) is so
