"""Work beside the loop: bounded, in order, never in the way."""

import threading
import time

from speakerd.outputs.lane import Lane


def threads(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def test_no_thread_before_there_is_work(heard):
    lane = Lane("four", lambda _: None, running=4)
    assert threads("four") == 0
    for _ in range(20):
        lane.submit(heard())
        assert lane.wait(time.monotonic() + 10)
    assert threads("four") == 1  # one after the other needs one thread, not four
    lane.close()


def test_what_there_is_no_room_for_is_dropped_with_a_warning(heard, caplog, eventually):
    gate, done = threading.Event(), []
    lane = Lane("the door", lambda detection: (gate.wait(10), done.append(detection.id)), running=2, waiting=1)
    for number in range(5):
        lane.submit(heard(id=str(number)))
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ["the door is still busy with 3: nothing done for 'Küche hell 💡'"] * 2
    gate.set()
    assert lane.wait(time.monotonic() + 10)
    assert sorted(done) == ["0", "1", "2"]
    lane.submit(heard(id="later"))
    eventually(lambda: "later" in done)
    lane.close()


def test_runs_side_by_side_up_to_its_limit(heard):
    both = threading.Barrier(2)
    lane = Lane("lane", lambda _: both.wait(10), running=2)
    lane.submit(heard())
    lane.submit(heard())
    assert lane.wait(time.monotonic() + 10)
    assert not both.broken
    lane.close()


def test_one_thread_keeps_the_order(heard):
    done = []
    lane = Lane("lane", lambda detection: done.append(detection.id), running=1, waiting=100)
    for number in range(100):
        lane.submit(heard(id=number))
    assert lane.wait(time.monotonic() + 10)
    lane.close()
    lane.submit(heard(id="too late"))
    assert lane.wait(time.monotonic())
    assert done == list(range(100))


def test_failing_work_is_told_and_does_not_end_the_lane(heard, caplog):
    done = []

    def work(detection):
        if detection.id == "bad":
            raise RuntimeError("no such luck")
        done.append(detection.id)

    lane = Lane("lane", work, running=1, waiting=1)
    lane.submit(heard(id="bad"))
    lane.submit(heard(id="good"))
    assert lane.wait(time.monotonic() + 10)
    assert done == ["good"]
    assert "no such luck" in caplog.text
    lane.close()


def test_closing_does_not_wait_longer_than_told(heard, eventually):
    begun, gate, done = threading.Event(), threading.Event(), []

    def work(detection):
        begun.set()
        gate.wait(10)
        done.append(detection.id)

    lane = Lane("slow", work, running=1, waiting=5)
    for number in range(3):
        lane.submit(heard(id=number))
    assert begun.wait(10)
    lane.close()
    lane.submit(heard(id="too late"))
    began = time.monotonic()
    assert not lane.wait(began + 0.2)
    assert 0.2 <= time.monotonic() - began < 1
    gate.set()
    eventually(lambda: threads("slow") == 0)
    assert done == [0]  # what still waited in line was dropped
