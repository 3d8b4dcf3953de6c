"""Who the strangers are."""

from collections import Counter

import numpy as np
import pytest

from speakerd.training.data import Clip
from speakerd.training.world import KNOWN, MOST_KNOWN, learned_words


@pytest.mark.parametrize(("words", "many"), [(0, 0), (5, 5 * KNOWN), (56, 56 * KNOWN), (1000, MOST_KNOWN)])
def test_learned_words_leave_room_for_talk(words: int, many: int) -> None:
    silence = np.zeros(1, np.int16)
    said = [Clip("words", f"{word:04}", f"voice {voice}", silence) for word in range(words) for voice in range(6)]
    once = [Clip("words", f"once {word}", "voice 0", silence) for word in range(30)]
    found = learned_words(said + once, np.random.default_rng(0))
    assert many * 0.9 <= len(found) <= many
    assert len({(clip.word, clip.speaker) for clip in found}) == len(found), "each person once"
    assert not any(clip.word.startswith("once") for clip in found)
    if words > MOST_KNOWN:
        assert max(Counter(clip.word for clip in found).values()) == 1
        assert found[-1].word > "0900", "of all of them, not of the first"
