"""The page in a real browser, with a real daemon: somebody teaches a command and sees it recognised."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from speakerd.audio.features import SAMPLE_RATE
from speakerd.control.messages import Enroll, Forget, History, Known, Recording, Status
from speakerd.events import Samples
from tests import recordings
from tests.control.browsing import TOKEN
from tests.running import LAMP, NIGHT, QUIETER, Speaker, clip, speaker
from tests.system.chromium import Browser, chromium

NAME = '<img src=x onerror="document.title=1"> 💡/مصباح'
SETTINGS = "# My own words.\nhttp: {enabled: true, port: 0}\nenrolment:\n  takes: 3 # thrice\n"


def voices() -> list[Samples]:
    """Four times one phrase: people's, where there are recordings."""
    if recordings.DATA.is_dir():
        return recordings.clips("hadouken", 4)
    return [clip(QUIETER, i % 3) for i in range(4)]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the phone's microphone hears, over and over: one of three takes every few seconds."""
    path = tmp_path_factory.mktemp("voices") / "spoken.wav"
    pause = np.zeros(2 * SAMPLE_RATE, np.float32)
    stream = np.concatenate([piece for take in voices()[:3] for piece in (pause, take)])
    soundfile.write(path, np.clip(soxr.resample(stream, SAMPLE_RATE, 48000), -1, 1), 48000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "speakerd.yaml").write_text(SETTINGS)
    with speaker(folder, "--config", folder / "speakerd.yaml") as running:
        for name in (LAMP, NIGHT):
            clips = [Recording(f"{i}.wav", clip(name, i).astype("<f4").tobytes()) for i in range(3)]
            running.ask(Enroll(name, clips))
        yield running


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory, spoken: Path) -> Iterator[Browser]:
    ear = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with chromium(tmp_path_factory.mktemp("browser"), *ear, f"--use-file-for-fake-audio-capture={spoken}") as browser:
        yield browser


@pytest.fixture
def browser(window: Browser, house: Speaker) -> Iterator[Browser]:
    """The page as it is when it is opened; nothing on it may be wrong afterwards."""
    window.chrome.get("about:blank")
    window.chrome.get(house.ask(Status())[0]["page"])
    window.until(lambda: window.find("#gate").text in ("quiet", "speech"), "the level does not come")
    yield window
    assert window.complaints() == []
    assert not window.find("#trouble").is_displayed(), window.find("#trouble").text


def names(house: Speaker) -> dict[str, int]:
    return {command["name"]: len(command["examples"]) for command in house.ask(Known())[0]["commands"]}


def test_somebody_teaches_a_command_and_sees_it_recognised(browser: Browser, house: Speaker) -> None:
    *takes, another = voices()
    browser.open("teach")
    browser.find("#teach [name=name]").send_keys("Guten Abend")
    browser.press("Begin", "#teach")
    for number, take in enumerate(takes, 1):
        browser.until(lambda n=number: f"({n} of 3)" in browser.find("#prompt").text, f"take {number} is not asked for")
        house.say(take)
    browser.told("Learned: Guten Abend. Expected: misses")
    assert names(house)["Guten Abend"] == 3

    browser.open("heard")
    house.say(another)
    browser.told("Heard: Guten Abend")
    browser.until(lambda: "Guten Abend" in browser.texts("#detections strong"), "it is not in the list")
    browser.press("Why?", "#detections")
    browser.until(lambda: browser.texts("#detections td"), "it is not explained")
    assert browser.texts("#detections td")[0] == "Guten Abend"
    assert "is enough" in browser.find("#detections p").text
    browser.press("Play", "#detections")
    browser.press("That was right", "#detections")
    browser.until(lambda: "Undo, in the history" in browser.find("#told").text, "it does not learn from it")
    assert names(house)["Guten Abend"] == 4


def test_somebody_teaches_by_the_phone_a_name_that_means_no_good(browser: Browser, house: Speaker) -> None:
    if "Guten Abend" in names(house):  # it is the same phrase, and which of the two was meant would be open
        house.ask(Forget("Guten Abend"))
    browser.open("teach")
    name = browser.find("#teach [name=name]")
    browser.chrome.execute_script("arguments[0].value = arguments[1]", name, NAME)  # it types no emoji
    browser.click("#teach [value=phone]")
    browser.press("Begin", "#teach")

    def loud() -> bool:
        width = "return parseFloat(document.getElementById('lesson-level').style.width) || 0"  # of none yet, NaN
        return bool(browser.chrome.execute_script(width) > 40)

    for number in range(3):
        browser.until(lambda n=number: f"({n} recorded)" in browser.find("#prompt").text, "it is not asked for")
        browser.until(loud, "the phone hears nothing")
        browser.until(lambda: not loud(), "the phone hears no end")  # now there is time for the next
        time.sleep(0.5)
        browser.press("Record", "#lesson")
        browser.until(loud, "the phone hears nothing")
        browser.until(lambda: not loud(), "the phone hears no end")
        time.sleep(0.5)
        browser.press("That was it", "#lesson")
    browser.press("Learn it", "#lesson")
    browser.told(f"Learned: {NAME}")
    assert names(house)[NAME] == 3

    house.say(voices()[3])
    browser.until(lambda: "Heard: " in browser.find("#told").text, "it is not recognised")
    browser.open("commands")
    browser.until(lambda: NAME in browser.texts("#known strong"), "it is not listed as it was called")
    assert browser.all("main img") == []
    assert browser.chrome.title == "speakerd"


def test_examples_are_heard_deleted_and_brought_back(browser: Browser, house: Speaker) -> None:
    browser.open("commands")
    browser.until(lambda: LAMP in browser.texts("#known strong"), "the commands are not shown")
    details = f"#known details[data-name='{LAMP}']"
    browser.click(f"{details} summary")
    assert len(browser.all(f"{details} .examples li")) == 3
    browser.press("Play", details)
    browser.press("Delete", f"{details} .examples")
    browser.press("Delete", "#asking")
    browser.told("Deleted one example of")
    assert names(house)[LAMP] == 2
    browser.until(lambda: browser.find(details).get_attribute("open"), "what was open is closed")
    browser.open("history")
    browser.until(lambda: f"{LAMP}: one example less" in browser.texts("#versions strong"), "the change is not shown")
    browser.press("Undo the last change")
    browser.told(f"undone: {LAMP}: one example less")
    assert names(house)[LAMP] == 3


def test_forgetting_and_going_back(browser: Browser, house: Speaker) -> None:
    before = house.ask(History())[0]["version"]
    browser.open("commands")
    browser.click(f"#known details[data-name='{NIGHT}'] summary")
    browser.press("Forget", f"#known details[data-name='{NIGHT}']")
    browser.press("Forget", "#asking")
    browser.told(f"Forgotten: {NIGHT}")
    assert NIGHT not in names(house)
    browser.open("history")
    back = f"#versions button[aria-label='Back to version {before}']"
    browser.click(back)
    browser.press("Back to it", "#asking")
    browser.told(f"Back to version {before}")
    assert NIGHT in names(house)


def test_everything_is_saved_as_a_file_and_brought_in_again(browser: Browser, house: Speaker, tmp_path: Path) -> None:
    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.chrome.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
    browser.open("history")
    browser.press("Save as a file")
    file = tmp_path / "household.speakerd"
    browser.until(file.exists, "nothing is saved")
    before = names(house)
    house.ask(Forget(NIGHT))
    browser.find("#import input").send_keys(str(file))
    browser.told("Brought in ")
    assert names(house).keys() == before.keys()


def test_the_speaker_cannot_ask_without_a_voice(browser: Browser) -> None:
    browser.open("teach")
    browser.click("#teach [value=voice]")
    browser.press("Begin", "#teach")
    browser.until(lambda: "this speaker does not speak" in browser.find("#trouble").text, "it says nothing")
    browser.open("heard")


def test_the_map_shows_every_example(browser: Browser, house: Speaker) -> None:
    browser.open("map")
    browser.until(lambda: browser.all("#chart path"), "there is no map")
    assert len(browser.all("#chart path")) == sum(names(house).values())
    assert LAMP in " ".join(browser.texts("#legend li"))


def test_a_setting_is_changed_in_the_file_and_taken_over(browser: Browser, house: Speaker, tmp_path: Path) -> None:
    browser.open("settings")
    browser.until(lambda: browser.all("#values fieldset"), "there are no settings")
    file = Path(browser.find("#file").text)
    takes = "[id='setting-enrolment.takes']"
    browser.write(takes, "2")
    browser.click("[aria-label='Change enrolment.takes']")
    browser.told("enrolment.takes was changed")
    assert file.read_text() == SETTINGS.replace("takes: 3", "takes: 2")
    house.await_notice("READY=1")
    browser.write(takes, "99")
    browser.click("[aria-label='Change enrolment.takes']")
    browser.until(lambda: browser.find("#trouble").is_displayed(), "a bad value is taken")
    assert "enrolment.takes is 99; it must be a whole number from 1 to 10" in browser.find("#trouble").text
    browser.open("heard")
    assert [entry for entry in browser.complaints() if "409" not in entry] == []


def test_mute_is_a_button_that_says_whether_it_is_pressed(browser: Browser, house: Speaker) -> None:
    browser.press("Mute")
    browser.told("does not listen any more")
    assert house.ask(Status())[0]["muted"]
    assert browser.find("#mute").get_attribute("aria-pressed") == "true"
    browser.press("Muted")
    browser.told("listens again")
    assert house.ask(Status())[0]["muted"] is None


def test_the_doctor_is_called(browser: Browser) -> None:
    browser.open("doctor")
    browser.until(lambda: "models" in browser.texts("#findings strong"), "the doctor says nothing")
    assert "daemon" in browser.texts("#findings strong")


def test_everything_that_can_be_used_has_a_name(browser: Browser) -> None:
    nameless = """
        return [...document.querySelectorAll("button, input, a, select, [role=meter]")].filter((one) =>
          !(one.labels?.length || one.getAttribute("aria-label") || one.textContent.trim())).map((one) => one.outerHTML)
    """
    for view in ("commands", "teach", "history", "settings"):
        browser.open(view)
        time.sleep(0.5)
        assert browser.chrome.execute_script(nameless) == []
    wide = browser.chrome.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, "a phone need not be scrolled sideways"


def test_with_a_token_one_logs_in(tmp_path: Path) -> None:
    (tmp_path / "speakerd.yaml").write_text(f"http: {{enabled: true, port: 0, token: {TOKEN}}}\n")
    with speaker(tmp_path, "--config", tmp_path / "speakerd.yaml") as running, chromium(tmp_path) as browser:
        browser.chrome.get(running.ask(Status())[0]["page"])
        browser.until(lambda: browser.find("#login").is_displayed(), "nobody is asked who they are")
        assert not browser.find("nav").is_displayed()
        browser.find("#login input").send_keys("wrong")
        browser.press("Log in")
        browser.until(
            lambda: "this is not the token" in browser.find("#trouble").text, "anything is taken for the token"
        )
        browser.find("#login input").send_keys(TOKEN)
        browser.press("Log in")
        browser.until(lambda: browser.find("#gate").text == "quiet", "the right token is not taken")
        assert TOKEN not in browser.chrome.current_url
        assert browser.chrome.execute_script("return document.cookie + JSON.stringify({...localStorage})") == "{}"
        browser.open("doctor")
        browser.press("Log out")
        browser.until(lambda: browser.find("#login").is_displayed(), "one cannot log out")
