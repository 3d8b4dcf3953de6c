"""What a household knows that was taught the bundled commands."""

import pytest

from speakerd.config import Config
from speakerd.house import Mind
from speakerd.learning.takes import judge_recording
from speakerd.store.knowledge import Knowledge
from tests.listening.taught import CLIPS, LAMP


@pytest.fixture(scope="session")
def taught(mind: Mind, tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    household = mind.household(tmp_path_factory.mktemp("taught") / "state", Config())
    for name, clips in CLIPS.items():
        takes = [judge_recording("clip", clip, Config().gate) for clip in clips]
        household.enroll(name, takes, action="lamp" if name == LAMP else None)
    return household.knowledge
