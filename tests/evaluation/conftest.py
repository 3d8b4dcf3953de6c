"""What several tests try the evaluation on."""

from pathlib import Path

import pytest

from speakerd.demo.truth import STREAM
from tests.cli.conftest import call
from tests.evaluation.material import three_words

__all__ = ["call"]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See :func:`three_words`."""
    return three_words(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who talks."""
    folder = tmp_path_factory.mktemp("speech")
    (folder / STREAM.name).symlink_to(STREAM)
    return folder
