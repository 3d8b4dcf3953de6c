"""Requests made up by schemathesis from the OpenAPI document, to a daemon of its own process."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings

from speakerd.control.messages import Status
from speakerd.control.openapi import REQUESTS, document
from tests.control.browsing import TOKEN
from tests.running import Speaker, speaker


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    folder = tmp_path_factory.mktemp("house")
    config = folder / "speakerd.yaml"
    config.write_text(yaml.safe_dump({"http": {"enabled": True, "port": 0, "token": TOKEN}}))
    with speaker(folder, "--config", config) as running:
        yield running
        assert running.process.poll() is None, running.log()
        assert "Traceback" not in running.log()


schema = schemathesis.openapi.from_dict(document(asks_for_token=True))


@schema.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_daemon_answers_as_it_is_documented(case: Any, house: Speaker) -> None:
    if isinstance(case.body, dict):  # to JSON Schema 8.0 is a whole number, to msgspec it is not
        case.body = {
            key: int(value) if isinstance(value, float) and value.is_integer() else value
            for key, value in case.body.items()
        }
    page = house.ask(Status())[0]["page"]
    case.call_and_validate(base_url=page, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)


def test_every_request_that_ends_is_documented() -> None:
    paths = document(asks_for_token=True)["paths"]
    ends = {f"/api/{name}" for name, kind in REQUESTS.items() if not kind.goes_on}
    assert ends == set(paths) - {"/api/login"}
    assert "/api/forget" in paths
    assert "/api/watch" not in paths


def test_the_document_is_json_and_names_no_type_that_is_asked_for() -> None:
    told = json.loads(json.dumps(document(asks_for_token=False)))
    assert told["components"]["schemas"]["Forget"]["required"] == ["name"]
    assert "securitySchemes" not in told["components"]
