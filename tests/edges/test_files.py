"""Files that are not what they were: pipes, devices, directories, endless ones."""

import os
import threading
import time
from pathlib import Path

import pytest

from rotator.edges.files import MAX_FILE_BYTES, read_file


def test_content(tmp_path: Path) -> None:
    """The content as it is, up to the largest size."""
    path = tmp_path / "file"
    for content in (b"", b"a\0b\n", b"x" * MAX_FILE_BYTES):
        path.write_bytes(content)
        assert read_file(path) == content


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("missing", FileNotFoundError, "No such file or directory"),
        (".", IsADirectoryError, "Is a directory"),
        ("/dev/zero", OSError, "larger than 1 MiB"),
        ("a\0b", OSError, "not a valid path"),
    ],
)
def test_file_that_cannot_be_read(tmp_path: Path, name: str, kind: type[OSError], reason: str) -> None:
    """Each has its reason."""
    with pytest.raises(kind) as caught:
        read_file(tmp_path / name)
    assert caught.value.strerror == reason


def test_file_that_is_too_large(tmp_path: Path) -> None:
    """One byte too many is refused."""
    (tmp_path / "file").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(OSError, match="larger than 1 MiB"):
        read_file(tmp_path / "file")


def test_pipe_that_is_written(tmp_path: Path) -> None:
    """A pipe with a writer is read to its end, as one of a shell's process substitution."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"y" * 200_000,))
    writer.start()
    while not (found := read_file(pipe)):
        pass  # the writer has not opened it yet
    writer.join()
    assert found == b"y" * 200_000


def test_pipe_that_is_never_written(tmp_path: Path) -> None:
    """A pipe that somebody holds open without writing is given up in time, and no thread stays behind."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    try:
        with pytest.raises(TimeoutError):
            read_file(pipe, timeout=0.2)
    finally:
        os.close(writer)


def test_file_system_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a file is read that hangs, one thread waits for it; when it answers again, it is read again."""
    path, released, opened = tmp_path / "file", threading.Event(), []
    path.write_text("before")
    real = os.open

    def hang(*arguments: object) -> int:
        opened.append(arguments)
        released.wait(60)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", hang)
    for _ in range(5):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"not read within 0\.05s"):
            read_file(path, timeout=0.05)
        assert time.monotonic() - began < 30
    assert len(opened) == 1
    released.set()
    path.write_text("after")
    assert read_file(path, timeout=60) == b"after"
