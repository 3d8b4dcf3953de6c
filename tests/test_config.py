"""Settings: the shipped file, what is read, and how mistakes are answered."""

import re
from pathlib import Path

import pytest
from msgspec.structs import fields

import speakerd.config
from speakerd.config import Config, ConfigError, Outputs, Requirement, ShellAction, WebhookAction, load, where
from speakerd.config.sample import sample
from speakerd.config.settings import EXAMPLES

HERS = {"Zoë": {"kitchen lamp": ["home"]}}

SHIPPED = Path(__file__).parent.parent / "config" / "speakerd.yaml"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a settings file, named as a person would see it."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes) -> Path:
        file = Path("speakerd.yaml")
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def problems(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file)
    return str(caught.value).splitlines()


def test_shipped_file_is_written_from_the_types():
    regenerate = "from speakerd.config.sample import sample; print(sample(), end='')"
    assert SHIPPED.read_text() == sample(), f'python -c "{regenerate}" > config/speakerd.yaml brings it up to date'


def test_shipped_file_holds_the_defaults():
    assert load(SHIPPED) == Config()


def test_shipped_file_has_every_key_under_a_comment():
    lines = SHIPPED.read_text().splitlines()
    for section in fields(Config):
        at = lines.index(f"{section.name}:")
        assert lines[at - 1].startswith("# ")
        for key in fields(section.type):
            at = next(i for i in range(at + 1, len(lines)) if lines[i].startswith(f"  {key.name}: "))
            assert re.match(r"  # .*\w", lines[at - 1]), key.name


def test_examples_of_the_shipped_file_work(write):
    text = re.sub(r"  (requires|actions|on|by): {}\n", "", SHIPPED.read_text())
    examples = re.findall(r"  # For example:\n(  # \w+:\n(?:  #   .*\n)+)", text)
    for example in examples:
        text = text.replace(example, re.sub(r"^  # ", "  ", example, flags=re.MULTILINE))
    config = load(write(text))
    assert config.listening.requires == {"lights off": Requirement("computer")}
    assert config.outputs == Outputs(actions=EXAMPLES, on={"kitchen lamp": ["lamp"], "*": ["home"]}, by=HERS)
    for of in (ShellAction, WebhookAction):
        for key in fields(of):
            assert any(f"{key.name}:" in example for example in examples)


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "---\n", "audio:\noutputs:\n  actions:\n  on:\n", "\ufeffgate: {}"]
)
def test_a_file_that_sets_nothing_gives_the_defaults(write, text):
    assert load(write(text)) == Config()


def test_everything_can_be_set(write):
    config = load(
        write("""
audio: {device: USB, channel: mix}
gate: {aggressiveness: 3, hangover_ms: 100, preroll_ms: 0}
listening: {false_accepts_per_day: 5, highest_frr: 0.1}
enrolment: {takes: 10, keep_audio: false}
recognition: {models: /srv/models}
outputs:
  log: false
  json: "-"
  actions:
    off: {shell: [mpc, volume, 50, off], timeout: 1, running: 1}
    home: {webhook: "HTTPS://[::1]:8123/a?b=c", timeout: 0.5, running: 16, headers: {X-Count: 5}}
  on:
    Licht aus: [off, home]
    on: [home]
    "*": [home]
""")
    )
    assert (config.audio.device, config.audio.channel) == ("USB", "mix")
    assert (config.gate.aggressiveness, config.gate.hangover_ms, config.gate.preroll_ms) == (3, 100, 0)
    assert (config.listening.false_accepts_per_day, config.listening.highest_frr) == (5.0, 0.1)
    assert (config.enrolment.takes, config.enrolment.keep_audio) == (10, False)
    assert config.recognition.models == "/srv/models"
    assert config.outputs == Outputs(
        log=False,
        json="-",
        actions={
            "off": ShellAction(["mpc", "volume", "50", "off"], timeout=1.0, running=1),
            "home": WebhookAction("HTTPS://[::1]:8123/a?b=c", timeout=0.5, running=16, headers={"X-Count": "5"}),
        },
        on={"Licht aus": ["off", "home"], "on": ["home"], "*": ["home"]},
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("audio:\n  devcie: 1", "2: audio.devcie is not a setting; did you mean audio.device?"),
        ("Audio: {}", "1: Audio is not a setting; did you mean audio?"),
        ("gate: {takes: 3}", "1: gate.takes is not a setting; did you mean enrolment.takes?"),
        ("\nhangover: 3", "2: hangover is not a setting; did you mean gate.hangover_ms?"),
        ("audio: {colour: 1}", "1: audio.colour is not a setting; there are device, channel"),
        (
            "gate:\n  aggressiveness: high",
            "2: gate.aggressiveness is 'high'; it must be a whole number from 0 to 3",
        ),
        ("gate: {aggressiveness: 4}", "1: gate.aggressiveness is 4; it must be a whole number from 0 to 3"),
        ("gate: {aggressiveness: 1.5}", "1: gate.aggressiveness is 1.5; it must be a whole number from 0 to 3"),
        ("gate: {aggressiveness: true}", "1: gate.aggressiveness is true; it must be a whole number from 0 to 3"),
        ("gate:\n  hangover_ms:", "2: gate.hangover_ms is empty; it must be a whole number from 100 to 1500"),
        ("gate: {hangover_ms: [1]}", "1: gate.hangover_ms is a list; it must be a whole number from 100 to 1500"),
        ("audio: {device: yes}", "1: audio.device is yes; it must be a whole number from 0, some text or null"),
        ("audio: {device: ''}", "1: audio.device is ''; it must be a whole number from 0, some text or null"),
        ("audio: {channel: left}", "1: audio.channel is 'left'; it must be a whole number from 0 or mix"),
        (
            "listening: {false_accepts_per_day: 0}",
            "1: listening.false_accepts_per_day is 0; it must be a number above 0, at most 1000",
        ),
        (
            "listening: {false_accepts_per_day: .nan}",
            "1: listening.false_accepts_per_day is .nan; it must be a number above 0, at most 1000",
        ),
        (
            "listening: {requires: {off: {within: 3}}}",
            "1: listening.requires.off needs command",
        ),
        (
            "listening:\n  requires:\n    a: {command: B}\n    b: {command: A}",
            "3: listening.requires.a can never be heard: a needs b needs a",
        ),
        (
            "listening:\n  requires:\n    '*': {command: a}\n    a: {command: b}",
            "4: listening.requires.a can never be heard: a needs b needs a",
        ),
        (
            "listening: {requires: {a: b}}",
            "1: listening.requires.a is a single value; it must be a section with command, within",
        ),
        (
            "outputs: {by: {Zoe: {lamp: [lmap]}}, actions: {lamp: {shell: [a]}}}",
            "1: outputs.by.Zoe.lamp has 'lmap', which is not in outputs.actions; did you mean lamp?",
        ),
        ("enrolment: {keep_audio: 'no'}", "1: enrolment.keep_audio is 'no'; it must be true or false"),
        ("outputs: {json: 2024-99-99}", "1: outputs.json is 2024-99-99; it must be some text or null"),
        ("outputs: {json: !file a}", "1: outputs.json has the tag !file, which means nothing here"),
        ("gate: 5", "1: gate is a single value; it must be a section with aggressiveness, hangover_ms, preroll_ms"),
        ("gate:\n  takes: 1\n  takes: 2\n  takes: 3", "4: gate.takes is here a second time; first in line 2"),
        ("? [a]\n: b", "1: the file has a list where a name must be"),
        (
            "- audio",
            "1: the file is a list; it must be a section with audio, gate, listening, enrolment",
        ),
        ("audio:\n\tdevice: x\n\tchannel: 0", "3: indented with a tab; YAML wants spaces"),
        ("audio: {device:\tx}", "1: a tab stands here; YAML wants spaces"),
        ("audio: {}\ngate: a: b", "2: not YAML: mapping values are not allowed here"),
        ("audio:\n  device: 'x\n", "3: not YAML: found unexpected end of stream, while scanning a quoted scalar that"),
        ("audio: {\x07}", "1: the character U+0007 cannot stand in a YAML file"),
        ("outputs:\n  on:\n    *: [a]", '3: a * at the beginning needs quotes: "*"'),
        ("a: 1\n---\nb: 1", "2: not YAML: but found another document"),
        (
            "http:\n  enabled: true\n  address: 0.0.0.0",
            "3: http.address is 0.0.0.0, which others can reach: that needs http.token or http.token_file",
        ),
        ("http: {enabled: true, address: kitchen}", "1: http.address is 'kitchen'; it must be an IP address"),
        ("http: {enabled: true, key: a.pem}", "1: http.certificate and http.key go together; one of them is missing"),
        ("http: {token: short}", "1: http.token must be 16 to 200 letters, digits and signs, no spaces or null (its"),
        (b"audio: {}\n# caf\xe9\n", "2: not UTF-8 (byte 0xe9); save the file with that encoding"),
    ],
)
def test_a_mistake_is_answered_with_line_and_remedy(write, text, message):
    assert any(problem.startswith(f"speakerd.yaml:{message}") for problem in problems(write(text))), message


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("{shell: []}", "lamp.shell is an empty list; it must be a list of a program and its arguments"),
        ("{shell: mpc play}", "lamp.shell is 'mpc play'; it must be a list of a program and its arguments, such as"),
        ("{shell: [mpc, [a]]}", "lamp.shell.1 is a list; it must be some text"),
        ("{shell: [mpc, ~]}", "lamp.shell.1 is empty; it must be some text"),
        ("{shell: [mpc], timout: 3}", "lamp.timout is not a setting; did you mean outputs.actions.lamp.timeout?"),
        ("{shell: [mpc], running: 0}", "lamp.running is 0; it must be a whole number from 1 to 16"),
        ("{shell: [mpc], headers: {}}", "lamp.headers is not a setting; there are shell, timeout, running"),
        ("{webhok: 'http://x'}", "lamp needs shell: [program, argument, ...] or webhook: address; did you mean"),
        (
            "{shell: [a], webhook: 'http://x'}",
            "lamp must have shell: [program, argument, ...] or webhook: address, and",
        ),
        ("", "lamp needs shell: [program, argument, ...] or webhook: address"),
        ("{webhook: 'ftp://x/'}", "lamp.webhook must be an address such as http://host:8123/path"),
        ("{webhook: 'http:///x'}", "lamp.webhook must be an address"),
        ("{webhook: 'http://user:word@host/'}", "lamp.webhook must be an address"),
        ("{webhook: 'http://host:port/'}", "lamp.webhook must be an address"),
        ("{webhook: 'http://host/a b'}", "lamp.webhook must be an address"),
        (
            "{webhook: 'http://x', headers: {A B: c}}",
            "'A B' in outputs.actions.lamp.headers must be the name of a header",
        ),
    ],
)
def test_a_mistake_in_an_action(write, action, message):
    found = problems(write(f"outputs:\n  actions:\n    lamp: {action}\n"))
    assert len(found) == 1
    prefix = "" if message.startswith("'") else "outputs.actions."
    assert found[0].startswith(f"speakerd.yaml:3: {prefix}{message}")


def test_unknown_actions_of_commands(write):
    file = write(
        "outputs:\n  actions:\n    Lamp: {shell: [a]}\n  on:\n    x:\n      - Lamp\n      - lmap\n    '*': Lamp\n"
    )
    assert problems(file) == [
        "speakerd.yaml:7: outputs.on.x has 'lmap', which is not in outputs.actions; did you mean Lamp?",
        "speakerd.yaml:8: outputs.on.* is 'Lamp'; it must be a list of names of actions, such as [one, two]",
    ]
    assert problems(write("outputs: {on: {x: [a]}}")) == [
        "speakerd.yaml:1: outputs.on.x has 'a', which is not in outputs.actions; there are none"
    ]


def test_all_problems_come_at_once_in_order(write):
    found = problems(write("outputs: {on: {x: [a]}}\naudio: {devcie: 1}\ngate:\n  takes: 1\n  preroll_ms: x\n"))
    assert [problem.split(":")[1] for problem in found] == ["1", "2", "4", "5"]


def test_tabs_are_all_named(write):
    found = problems(write("audio:\n\tdevice: x\ngate:\n \tpreroll_ms: 1\n"))
    assert found == [f"speakerd.yaml:{line}: indented with a tab; YAML wants spaces" for line in (2, 4)]


@pytest.mark.parametrize(
    "text",
    [
        "webhook: 'http://u:hunter2@x/'",
        "webhook: ['hunter2']",
        "webhook: 'http://x/'\n      headers: Bearer hunter2",
        "webhook: 'http://x/'\n      headers: {Authorization: \"hunter2\\n\"}",
        "webhook: 'http://x/'\n      headers: {Authorization: [hunter2]}",
        "webhook: 'http://x/'\n      headers: {Authorization: *hunter2}",
        "webhook: 'http://x/'\n      headers: {Authorization: 'hunter2}",
        "webhook: 'http://x/'\n      headers: {Authorization: @hunter2}",
    ],
)
def test_secrets_are_not_shown(write, text):
    with pytest.raises(ConfigError) as caught:
        load(write(f"outputs:\n  actions:\n    home:\n      {text}\n"))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_are_not_in_the_representation(write):
    text = "outputs: {actions: {home: {webhook: 'http://x/hunter2', headers: {Authorization: hunter2}}}}"
    shown = repr(load(write(text)))
    assert "hunter2" not in shown
    assert "Authorization" in shown


def test_a_named_file_must_be_there(tmp_path):
    assert problems(tmp_path / "none.yaml") == [f"{tmp_path}/none.yaml: there is no such file"]


def test_a_file_that_cannot_be_read(tmp_path):
    assert problems(tmp_path) == [f"{tmp_path}: not readable: Is a directory"]
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert problems(loop) == [f"{loop}: not readable: Too many levels of symbolic links"]


def test_usual_files_in_their_order(tmp_path, monkeypatch):
    system, home, own = tmp_path / "etc.yaml", tmp_path / "home", tmp_path / "xdg"
    monkeypatch.setattr(speakerd.config, "SYSTEM_FILE", system)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert load(None) == Config()
    assert where(None, "enrolment.takes") == "the default"
    for takes, file in enumerate([system, home / ".config/speakerd/speakerd.yaml", own / "speakerd/speakerd.yaml"], 4):
        if file.is_relative_to(own):
            monkeypatch.setenv("XDG_CONFIG_HOME", str(own))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"enrolment:\n  takes: {takes}\n")
        assert load(None).enrolment.takes == takes
        assert where(None, "enrolment.takes") == f"{file}:2"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME")
    assert load(None).enrolment.takes == 4


def test_where_a_setting_stands(write):
    file = write("audio:\n  channel: 0\n\n  device: USB\noutputs:\n  on: {a: [b]}\n")
    assert where(file, "audio.device") == "speakerd.yaml:4"
    assert where(file, "outputs.on.a") == "speakerd.yaml:6"
    assert where(file, "gate.hangover_ms") == "speakerd.yaml"
    assert where(write("audio: {"), "audio.device") == "speakerd.yaml"


def test_the_token_is_never_shown(write):
    config = load(write("http: {enabled: true, address: 0.0.0.0, token: correct-horse-battery}"))
    assert config.http.token == "correct-horse-battery"
    assert "correct" not in repr(config)
