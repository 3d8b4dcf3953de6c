import logging
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from speakerd.audio.segmenter import find_utterance, frames_of
from speakerd.audio.sources import PcmSource
from speakerd.config import Config
from speakerd.events import Detection, Samples, Waiting
from speakerd.house import Mind
from speakerd.learning.lesson import lesson
from speakerd.learning.takes import Take
from speakerd.listening.loop import QUIET, TALK, TAP_FRAMES, Loop
from speakerd.listening.spotter import Spotter
from speakerd.store.knowledge import Knowledge
from tests.listening.taught import CLIPS, LAMP, MUSIC
from tests.recordings import room, said

Step = Samples | Waiting | Callable[[], None]


class Sound:
    """A source of recordings and interruptions; functions among them are called when their time has come, which is
    between two frames."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps

    def __iter__(self) -> Iterator[Samples | Waiting]:
        for step in self.steps:
            match step:
                case Waiting():
                    yield step
                case np.ndarray():
                    yield from frames_of(step)
                case _:
                    step()

    def be_patient(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        self.steps = ()


class Room:
    """A loop and what it detects."""

    def __init__(self, mind: Mind, knowledge: Knowledge, *steps: Step) -> None:
        self.spotter = Spotter(mind.encoder, mind.world, Config().gate, knowledge)
        self.source = Sound(*steps)
        self.loop = Loop(self.source, self.spotter)
        self.detections: list[Detection] = []
        self.progress = 0
        self._ears = ExitStack()

    def run(self, *steps: Step) -> list[str]:
        """The names of what was detected in these steps."""
        self.source.steps = steps or self.source.steps
        self.loop.run(self.detections.append, self._progressed)
        return [detection.command for detection in self.detections]

    def listen_in(self) -> None:
        self.tapped = self._ears.enter_context(self.loop.tap())

    def leave(self) -> None:
        self._ears.close()

    def _progressed(self) -> None:
        self.progress += 1


@pytest.fixture
def space(mind: Mind, taught: Knowledge) -> Room:
    return Room(mind, taught)


LAMP_SAID, MUSIC_SAID = said(0.5, CLIPS[LAMP][0], 0.5), said(0.5, CLIPS[MUSIC][0], 0.5)


def all_of(tap: Iterator[Samples | Waiting]) -> list[Samples | Waiting]:
    """What a tap gives until it ends, which it must."""
    heard: list[Samples | Waiting] = []
    thread = threading.Thread(target=lambda: heard.extend(tap), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it was not told that the sound is over"
    return heard


def frames(samples: Samples) -> int:
    return -(-len(samples) // 320)


# -- detections


def test_every_command_is_detected_in_order(space: Room) -> None:
    assert space.run(LAMP_SAID, MUSIC_SAID, LAMP_SAID) == [LAMP, MUSIC, LAMP]
    assert space.loop.frames == space.progress == 2 * frames(LAMP_SAID) + frames(MUSIC_SAID)
    assert space.loop.level == space.spotter.segmenter.level < -50


def test_what_is_said_at_the_end_of_the_sound_is_detected(space: Room) -> None:
    assert space.run(LAMP_SAID, said(0.5, CLIPS[MUSIC][0][:22000])) == [LAMP, MUSIC]


def test_knowledge_is_swapped_in_between_two_frames(space: Room, taught: Knowledge) -> None:
    lamp = Knowledge(7, taught.encoder, tuple(c for c in taught.commands if c.name == LAMP))
    nothing = Knowledge(0, taught.encoder)
    heard = space.run(
        lambda: space.spotter.know(nothing), LAMP_SAID,
        lambda: space.spotter.know(lamp), LAMP_SAID,
        MUSIC_SAID[:20000], lambda: space.spotter.know(taught), MUSIC_SAID[20000:],
        LAMP_SAID, lambda: space.spotter.know(nothing), MUSIC_SAID,
    )  # fmt: skip
    assert heard == [LAMP, MUSIC, LAMP]
    assert space.loop.frames == space.progress


def test_teaching_from_another_thread_while_it_listens(space: Room, taught: Knowledge) -> None:
    nothing, stop = Knowledge(0, taught.encoder), threading.Event()

    def swap() -> None:
        while not stop.is_set():
            space.spotter.know(nothing)
            space.spotter.know(taught)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        heard = space.run(*[LAMP_SAID, MUSIC_SAID] * 5)
    finally:
        stop.set()
        thread.join()
    assert set(heard) <= {LAMP, MUSIC}
    assert space.loop.frames == 5 * (frames(LAMP_SAID) + frames(MUSIC_SAID))


# -- rest


@contextmanager
def live(samples: Samples) -> Iterator[PcmSource]:
    """A recording that comes through a pipe in blocks as a microphone gives them, each when it has been captured."""
    read, write = os.pipe()
    pcm = (samples * 32767).astype("<i2")

    def feed() -> None:
        began = time.monotonic()
        with os.fdopen(write, "wb", buffering=0) as out:
            for end in range(1600, len(pcm) + 1, 1600):
                time.sleep(max(0.0, began + end / 16000 - time.monotonic()))
                out.write(pcm[end - 1600 : end].tobytes())

    with os.fdopen(read, "rb") as stream:
        feeding = threading.Thread(target=feed)
        feeding.start()
        yield PcmSource(stream)
        feeding.join()


def woken(space: Room, samples: Samples) -> int:
    """How often the loop's thread had to be woken up while it heard them."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    with live(samples) as source:
        loop = Loop(source, space.spotter)
        loop.run(lambda _: None)
        assert loop.frames == len(samples) // 320
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before


def test_sound_gathers_while_nobody_speaks(space: Room) -> None:
    assert woken(space, room(4.0)) < 26, "and not for each of forty blocks"


def test_a_command_is_heard_in_time_by_a_loop_that_was_at_rest(space: Room) -> None:
    command = CLIPS[LAMP][0]
    ends = find_utterance(command)
    assert ends is not None
    with live(said(1.0, command, 2.0)) as source:
        began, heard = time.monotonic(), list[float]()
        Loop(source, space.spotter).run(lambda _: heard.append(time.monotonic() - began))
    assert len(heard) == 1
    assert heard[0] < 1 + ends.end_time + 0.5


class Asked(Sound):
    """A source that remembers how patient it was to be, each time that this changed."""

    def __init__(self, *steps: Step) -> None:
        super().__init__(*steps)
        self.patience: list[float] = []

    def be_patient(self, seconds: float) -> None:
        if self.patience[-1:] != [seconds]:
            self.patience.append(seconds)


def test_the_loop_is_patient_unless_somebody_waits(space: Room) -> None:
    source = Asked(said(0.5, np.concatenate([CLIPS[LAMP][0]] * 2), 1.0))
    loop = Loop(source, space.spotter)
    loop.run(lambda _: None)
    assert source.patience[0] == source.patience[-1] == QUIET
    assert set(source.patience) == {0.0, TALK, QUIET}
    source.steps, source.patience = (said(0.5, CLIPS[LAMP][0], 1.0),), []
    with loop.tap():
        loop.run(lambda _: None)
    assert source.patience == [0.0], "a lesson is shown as it is heard"
    source.steps, source.patience = (Waiting("gone"), Waiting("gone")), []
    loop.run(lambda _: None)
    assert source.patience == [0.0], "what comes back is wanted at once"


# -- interruptions


def test_while_there_is_no_sound_it_waits_and_goes_on_afterwards(space: Room) -> None:
    reasons: list[str | None] = []

    def note() -> None:
        reasons.append(space.loop.waiting)

    away = Waiting("the microphone was unplugged")
    assert space.run(note, LAMP_SAID, away, note, away, note, MUSIC_SAID, note) == [LAMP, MUSIC]
    assert reasons == [None, away.reason, away.reason, None]
    assert space.progress == space.loop.frames + 2  # the watchdog is fed also while it waits
    assert space.loop.frames == frames(LAMP_SAID) + frames(MUSIC_SAID)


def test_word_that_an_interruption_cut_in_two_is_not_put_together(space: Room) -> None:
    half = 20000
    assert space.run(MUSIC_SAID[:half], Waiting("gone"), said(1), LAMP_SAID) == [LAMP]
    assert space.run(LAMP_SAID, MUSIC_SAID[:half], Waiting("gone"), Waiting("gone"), said(1)) == [LAMP, LAMP]


def test_failure_in_an_output_is_not_hidden_and_ends_lessons(space: Room) -> None:
    space.source.steps = (LAMP_SAID,)

    def fail(_: Detection) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        space.loop.run(fail)
    with space.loop.tap() as heard:
        assert all_of(heard) == []


# -- listening in


def test_tap_hears_every_frame_from_then_on(space: Room) -> None:
    early, late = room(1, 1), room(1, 2)
    with space.loop.tap() as one, space.loop.tap() as two:
        space.run(early, Waiting("a moment"), late)
        heard = [all_of(tap) for tap in (one, two)]
    expected = [*frames_of(early), Waiting("a moment"), *frames_of(late)]
    for found in heard:
        assert len(found) == len(expected)
        for got, given in zip(found, expected, strict=True):
            assert got == given if isinstance(given, Waiting) else np.array_equal(got, given)


def test_tap_hears_what_comes_while_it_is_open_and_nothing_else(space: Room) -> None:
    before, during, after = room(1, 1), room(1, 2), room(1, 3)
    space.run(before, space.listen_in, during, space.leave, after)
    heard = [next(space.tapped) for _ in frames_of(during)]
    assert all(np.array_equal(got, given) for got, given in zip(heard, frames_of(during), strict=True))
    more = threading.Thread(target=lambda: heard.append(next(space.tapped)), daemon=True)
    more.start()
    more.join(0.1)
    assert len(heard) == 50


def test_no_command_fires_while_somebody_listens_in(space: Room) -> None:
    with space.loop.tap():
        assert space.run(LAMP_SAID, MUSIC_SAID, said(0.5, CLIPS[LAMP][1][:20000])) == []


def test_word_that_began_while_somebody_listened_in_fires_nothing_and_the_next_does(space: Room) -> None:
    first, second = MUSIC_SAID[:20000], MUSIC_SAID[20000:]
    assert space.run(LAMP_SAID, space.listen_in, first, space.leave, second, LAMP_SAID) == [LAMP, LAMP]


def test_word_in_whose_middle_somebody_begins_to_listen_in_fires_nothing(space: Room) -> None:
    first, second = MUSIC_SAID[:20000], MUSIC_SAID[20000:]
    assert space.run(first, space.listen_in, second, space.leave, LAMP_SAID) == [LAMP]


def test_whole_lesson_fires_nothing_also_not_its_last_take(space: Room) -> None:
    takes: list[Take] = []
    listening = threading.Event()

    def learn() -> None:
        with space.loop.tap() as heard:
            listening.set()
            takes.extend(event for event in lesson(heard, 3, Config().gate) if isinstance(event, Take))

    thread = threading.Thread(target=learn, daemon=True)
    thread.start()
    listening.wait(10)
    heard = space.run(LAMP_SAID, LAMP_SAID, LAMP_SAID, room(0.5), lambda: thread.join(10), MUSIC_SAID)
    assert [take.accepted for take in takes] == [True] * 3
    assert heard == [MUSIC]


def test_who_listens_in_too_slowly_loses_sound_and_holds_nobody_up(
    space: Room, caplog: pytest.LogCaptureFixture
) -> None:
    with space.loop.tap() as heard, caplog.at_level(logging.WARNING):
        space.run(room(0.02 * (TAP_FRAMES + 30)))
        assert space.loop.frames == TAP_FRAMES + 30
        assert len(all_of(heard)) == TAP_FRAMES
    assert "loses sound" in caplog.text


def test_end_of_the_sound_is_the_end_for_who_listens_in(space: Room) -> None:
    ends: list[int] = []

    def listen() -> None:
        with space.loop.tap() as heard:
            started.set()
            ends.append(len(list(heard)))

    started = threading.Event()
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    started.wait(10)
    space.run(room(1))
    thread.join(10)
    assert ends == [50]
    with space.loop.tap() as heard:  # too late
        assert all_of(heard) == []
