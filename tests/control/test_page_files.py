"""The page's files: what can be seen of them without a browser."""

import re

import pytest

from speakerd.control.http import PAGE

CSS = (PAGE / "page.css").read_text()
SCRIPTS = "".join(path.read_text() for path in PAGE.glob("*.js"))
READ = [("text", "ground"), ("text", "card"), ("soft", "ground"), ("soft", "card"), ("strong", "ground"),
        ("strong", "card"), ("on-strong", "strong"), ("good", "card"), ("bad", "card"), ("bad", "ground"),
        ("card", "bad")]  # fmt: skip


def colours(scheme: str) -> dict[str, str]:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)", 1)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5."""
    named = colours(scheme)
    for text, ground in READ:
        lighter, darker = sorted((luminance(named[text]), luminance(named[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)


def test_nothing_is_built_from_text_and_nothing_is_kept_in_the_browser() -> None:
    """Names come from anybody; secrets stay in the cookie."""
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Storage",
        "document.cookie",
    ):
        assert forbidden not in SCRIPTS, forbidden
    html = (PAGE / "index.html").read_text()
    assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", html)


def test_all_that_the_scripts_want_is_in_the_page() -> None:
    html = (PAGE / "index.html").read_text()
    ids = re.findall(r'\sid="([\w-]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'\$\("([\w-]+)"\)', SCRIPTS)) <= set(ids)
    for file in re.findall(r'from "\./([\w.]+)"|addModule\("([\w.]+)"\)', SCRIPTS):
        assert (PAGE / "".join(file)).exists()
