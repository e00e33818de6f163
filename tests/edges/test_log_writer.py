"""Log lines whose reader is slow, gone, or does not read."""

import fcntl
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

import pytest
from waiting import wait_for

from rotator.edges.log_writer import LogWriter

LINE = "x" * 999 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """The two ends of a pipe that takes a page of memory."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
        os.close(reader)


def read(reader: int, size: int) -> bytes:
    """So many bytes, as they come."""
    found = b""
    while len(found) < size:
        found += os.read(reader, 65536)
    return found


def test_lines_are_written_in_order() -> None:
    """What is written comes out, in order; nothing is dropped."""
    stream = io.StringIO()
    writer = LogWriter(stream)
    lines = [f"line {number}\n" for number in range(1000)]
    for line in lines:
        assert writer.write(line) == len(line)
    assert writer.drain(timeout=60)
    assert (stream.getvalue(), writer.dropped) == ("".join(lines), 0)


def test_reader_that_does_not_read(pipe: tuple[int, TextIO]) -> None:
    """Once nothing has moved for a while, lines are dropped and counted at once; what waits is written later."""
    reader, stream = pipe
    writer = LogWriter(stream, max_queued=10 * len(LINE), max_block=0.1)
    for _ in range(100):
        writer.write(LINE)
    kept = 100 - writer.dropped
    assert 10 <= kept < 20
    assert not writer.drain(timeout=0.05)
    assert read(reader, kept * len(LINE)) == LINE.encode() * kept
    assert writer.drain(timeout=60)
    writer.write("again\n")
    assert read(reader, 6) == b"again\n"
    assert writer.dropped == 100 - kept


def test_reader_that_is_slow(pipe: tuple[int, TextIO]) -> None:
    """A reader that goes on reading loses nothing, however small the queue is."""
    reader, stream = pipe
    writer = LogWriter(stream, max_queued=len(LINE), max_block=60)
    found: list[bytes] = []
    reading = threading.Thread(target=lambda: found.append(read(reader, 300 * len(LINE))))
    reading.start()
    for _ in range(300):
        writer.write(LINE)
    reading.join()
    assert (found, writer.dropped) == ([LINE.encode() * 300], 0)


def test_reader_that_is_gone() -> None:
    """Lines that cannot be written are counted, and stop nothing."""
    reader, end = os.pipe()
    with os.fdopen(end, "w") as stream:
        writer = LogWriter(stream)
        os.close(reader)
        writer.write(LINE)
        writer.write(LINE)
        wait_for(lambda: writer.dropped == 2)


def test_pipe_that_does_not_block(pipe: tuple[int, TextIO]) -> None:
    """A pipe that was made non-blocking is waited for."""
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    writer = LogWriter(stream)
    for _ in range(20):
        writer.write(LINE)
    assert read(reader, 20 * len(LINE)) == LINE.encode() * 20
    assert writer.dropped == 0


def test_end_while_nobody_reads() -> None:
    """A process whose log is stuck ends as it should, without an error of the interpreter."""
    script = (
        "import sys\n"
        "from rotator.edges.log_writer import LogWriter\n"
        "writer = LogWriter(sys.stderr)\n"
        "writer.write('x' * 1_000_000)\n"
        "print(writer.drain(0.2), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.wait(60) == 0
        assert child.stdout.read() == "False\n"
