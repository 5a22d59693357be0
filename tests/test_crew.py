from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from xttsrecipe.crew import Crew, Room, Shared


def test_every_item_goes_to_one_thread() -> None:
    items = Shared(range(10_000))
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.extend(items)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(10_000))


def test_what_is_held_at_once_is_bounded() -> None:
    room, lock, held, most = Room(100), threading.Lock(), 0, 0

    def work(nbytes: int) -> None:
        nonlocal held, most
        for _ in range(50):
            with room.taken(nbytes):
                with lock:
                    held += nbytes
                    most = max(most, held)
                with lock:
                    held -= nbytes

    threads = [threading.Thread(target=work, args=[nbytes]) for nbytes in (0, 10, 30, 60, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (held, most) == (0, 100)


def test_the_block_ends_when_all_are_at_their_end() -> None:
    crew, ended = Crew(), []

    def work(number: int) -> None:
        with crew.at_work():
            while not crew.stopped:
                time.sleep(0.001)
            ended.append(number)

    with crew:
        for number in range(4):
            threading.Thread(target=work, args=[number]).start()
        while crew._at_work < 4:
            time.sleep(0.001)
    assert sorted(ended) == [0, 1, 2, 3]


def test_a_thread_that_fails_stops_the_others() -> None:
    crew = Crew()
    with pytest.raises(MemoryError), crew.at_work():
        raise MemoryError
    assert crew.stopped


def test_a_thread_that_begins_after_the_end_finds_nothing_to_do() -> None:
    crew = Crew()
    with crew:
        pass
    with crew.at_work():
        assert crew.stopped


@pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself are POSIX's")
@pytest.mark.usefixtures("usual_signals")
def test_an_interrupt_does_not_end_the_wait_but_is_raised_after_it(tmp_path: Path) -> None:
    """What a thread writes to is closed when the block ends, and its number given to the next file."""
    crew, may_end, ended = Crew(), threading.Event(), threading.Event()

    def work() -> None:
        with crew.at_work():
            may_end.wait()
            ended.set()

    def interrupt() -> None:
        for _ in range(3):
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        may_end.set()

    threading.Thread(target=work).start()
    while crew._at_work < 1:
        time.sleep(0.001)
    interrupting = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with crew:
            interrupting.start()
        pytest.fail("the interrupts were lost")
    assert ended.is_set()
    interrupting.join()
