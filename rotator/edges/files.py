"""
Reads a file within a limited time and size.

A file of the configuration may be a pipe without a writer, or on a file system that hangs (NFS,
FUSE). Such system calls have no timeout. So a thread reads the file, and is abandoned if it takes
too long. At most one thread is abandoned for each path.

Sources: fifo(7); open(2), O_NONBLOCK.
"""

import errno
import os
import select
import stat
import threading
import time
from pathlib import Path

READ_TIMEOUT = 3.0  # seconds
MARGIN = 0.5  # seconds by which the reading thread gives up earlier, because its error says what it waits for
MAX_FILE_BYTES = 1024 * 1024
_CHUNK = 64 * 1024

_lock = threading.Lock()
_running: dict[Path, "_Read"] = {}


def read_file(path: Path, timeout: float = READ_TIMEOUT) -> bytes:
    """
    The content of *path*; a pipe is read until its writers have closed it.

    timeout: seconds

    Raises:
        OSError: it cannot be read, is larger than `MAX_FILE_BYTES`, or was not read in time
            (TimeoutError); `strerror` says which.

    """
    arrived = time.monotonic()
    until = arrived + timeout + MARGIN
    while True:
        with _lock:
            read = _running.get(path)
            if read is None:
                read = _running[path] = _Read(path, timeout)
        if not read.ended.wait(max(until - time.monotonic(), 0.0)):
            raise TimeoutError(
                errno.ETIMEDOUT, f"not read within {timeout:g}s; is it a pipe, or a file system that hangs?"
            )
        if read.began >= arrived:  # a read that began earlier may have missed a change; many callers share the next one
            return read.result()


class _Read:
    """A thread that reads one file."""

    def __init__(self, path: Path, timeout: float) -> None:
        self.began = time.monotonic()
        self.ended = threading.Event()
        self._path = path
        self._timeout = timeout
        self._found: bytes | Exception = b""
        threading.Thread(target=self._run, name="file", daemon=True).start()

    def result(self) -> bytes:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    def _run(self) -> None:
        try:
            self._found = _content(self._path, self._timeout)
        except ValueError:  # a path with a NUL
            self._found = OSError(errno.EINVAL, "not a valid path")
        except Exception as error:  # noqa: BLE001 - the waiting thread raises it
            self._found = error
        finally:
            with _lock:
                _running.pop(self._path, None)
            self.ended.set()


def _content(path: Path, timeout: float) -> bytes:
    # O_NONBLOCK: opening a pipe without a writer does not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        until, found = time.monotonic() + timeout, bytearray()
        while len(found) <= MAX_FILE_BYTES:
            if not is_file and not select.select([descriptor], [], [], max(until - time.monotonic(), 0.0))[0]:
                raise TimeoutError(errno.ETIMEDOUT, f"not written within {timeout:g}s; it is a pipe or a device")
            chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                return bytes(found)
            found += chunk
    finally:
        os.close(descriptor)
    raise OSError(errno.EFBIG, f"larger than {MAX_FILE_BYTES >> 20} MiB")
