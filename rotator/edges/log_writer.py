"""
A stream with its own writing thread, so that a slow or stopped reader does not block other threads.

A pipe without a reader holds 64 KiB; then every `write` blocks forever. Here lines wait in memory. A
caller waits only while this queue is full and the thread still makes progress.

Source: pipe(7), "I/O on pipes and FIFOs".
"""

import contextlib
import io
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

MAX_QUEUED = 4 * 1024 * 1024  # characters that wait in memory
MAX_BLOCK = 5.0  # seconds without progress after which lines are dropped
FLUSH_TIMEOUT = 5.0  # seconds for what is left at the end


class LogWriter(io.TextIOBase):
    """Writes to *stream* in a thread. Only the daemon needs it; short commands may wait for their reader."""

    def __init__(self, stream: TextIO, *, max_queued: int = MAX_QUEUED, max_block: float = MAX_BLOCK) -> None:
        """
        Nothing is written yet.

        max_queued: characters that wait in memory; one line may exceed it
        max_block:  seconds without progress after which lines are dropped while the queue is full
        """
        self._write = _writer(stream)
        self._is_terminal = stream.isatty()
        self._max_queued = max_queued
        self._max_block = max_block
        self._changed = threading.Condition()
        self._lines: deque[str] = deque()
        self._queued = 0  # characters, including those that are being written
        self._progress = time.monotonic()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines were dropped."""
        return self._dropped

    def isatty(self) -> bool:
        return self._is_terminal

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Queue *text*, a line; drop it where the queue has been full for too long."""
        with self._changed:
            if self._queued == 0:
                self._progress = time.monotonic()
            while self._queued >= self._max_queued:
                left = self._progress + self._max_block - time.monotonic()
                if left <= 0:
                    self._dropped += 1
                    return len(text)
                self._changed.wait(left)
            self._lines.append(text)
            self._queued += len(text)
            self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes each line at once. `drain` waits for it."""

    def drain(self, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Wait until everything is written, at most *timeout* seconds; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._queued == 0, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                text = self._lines.popleft()
            is_written = self._write(text)
            with self._changed:
                self._dropped += not is_written
                self._queued -= len(text)
                self._progress = time.monotonic()
                self._changed.notify_all()


def _writer(stream: TextIO) -> Callable[[str], bool]:
    """
    A function that writes a text, and returns False if the text is lost.

    If there is a descriptor, the buffer of *stream* is not used: Python exits with a fatal
    error where a thread still holds that buffer.
    """
    try:
        descriptor = stream.fileno()
    except OSError:

        def write(text: str) -> bool:
            stream.write(text)
            return True

        return write
    return lambda text: _write_all(descriptor, text.encode(errors="backslashreplace"))


def _write_all(descriptor: int, data: bytes) -> bool:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # another process has made the pipe non-blocking
            with contextlib.suppress(OSError):
                select.select([], [descriptor], [])
        except OSError:
            return False
    return True
