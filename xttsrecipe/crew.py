"""Threads that work side by side: what they take their work from, the memory they share, and how they end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Crew:
    """Those threads that are at work. When the block ends all of them are at their end, however often Ctrl-C is
    pressed: what they read and write is closed afterwards, and the numbers of its descriptors given to other files.

    ``Thread.join`` will not do: interrupted, it takes a thread for ended (Python 3.10 to 3.12).
    """

    def __init__(self) -> None:
        self.stopped = False
        self._at_work = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """What a thread does, all of it. One that fails stops the others."""
        with self._changed:
            self._at_work += 1
        try:
            yield
        except BaseException:
            self.stopped = True
            raise
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        interrupted = False
        while True:
            try:
                # A thread that begins only now finds that there is nothing to do.
                self.stopped = True
                with self._changed:
                    self._changed.wait_for(lambda: self._at_work == 0)
                break
            except KeyboardInterrupt:
                interrupted = True
        if interrupted:
            raise KeyboardInterrupt


class Shared(Generic[T]):
    """An iterator that several threads take from, each item going to one of them."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            return next(self._items)


class Room:
    """Memory for tensors that are held whole: threads wait until what they need is free."""

    def __init__(self, nbytes: int) -> None:
        self._free = nbytes
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, nbytes: int) -> Iterator[None]:
        """So many bytes, at most all that there are, while the block lasts."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= nbytes)
            self._free -= nbytes
        try:
            yield
        finally:
            with self._changed:
                self._free += nbytes
                self._changed.notify_all()
