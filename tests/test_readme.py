"""What the README tells people to paste works as it stands there."""

import re
from pathlib import Path
from typing import Any

import yaml

from speakerd.config import WebhookAction, load
from speakerd.events import Detection
from speakerd.outputs.lines import record

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
HEARD = Detection("1", 1.0, 0.5, "kitchen lamp", 0.5, 0.3, True, None, 0.0)


def blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def automation() -> dict[str, Any]:
    (block,) = [block for block in blocks() if "home-assistant" in block]
    (found,) = yaml.safe_load(block)
    return dict(found)


def settings(folder: Path) -> Path:
    (block,) = [block for block in blocks() if "home-assistant" not in block]
    path = folder / "speakerd.yaml"
    path.write_text(block, encoding="utf-8")
    return path


def test_the_settings_are_good_and_name_the_webhook_of_the_automation(tmp_path: Path) -> None:
    action = load(settings(tmp_path)).outputs.actions["home"]
    assert isinstance(action, WebhookAction)
    (trigger,) = automation()["triggers"]
    assert trigger["trigger"] == "webhook"
    assert "POST" in trigger["allowed_methods"]
    assert action.webhook.endswith(f"/api/webhook/{trigger['webhook_id']}")


def test_the_automation_reads_only_fields_that_a_detection_has() -> None:
    used = set(re.findall(r"trigger\.json\.(\w+)", str(automation())))
    assert used == {"accepted", "command"}
    assert used <= set(record(HEARD))


def test_the_command_in_the_automation_is_the_one_in_the_settings(tmp_path: Path) -> None:
    named = re.findall(r"trigger\.json\.command == '([^']+)'", str(automation()))
    assert named
    assert set(named) <= set(load(settings(tmp_path)).outputs.on)


def test_every_command_that_the_readme_shows_exists() -> None:
    from speakerd.cli import main

    shown = set(
        re.findall(r"speakerd ((?!heard)[a-z]+)", " ".join(re.findall(r"`[^`]+`|^    .*$", README, re.MULTILINE)))
    )
    known = set(main.list_commands(None))  # type: ignore[arg-type]
    assert shown - known == set()
