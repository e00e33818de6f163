"""Writes files in folders to which other users may write."""

import os
from pathlib import Path


def write_file(path: Path, text: str, *, mode: int = 0o644) -> None:
    """
    Put a new file with *text* at *path*; a symbolic link there is replaced, and never followed.

    mode: its permissions, from the start

    Raises:
        OSError: it cannot be written, or somebody else made one there in the same instant.

    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "w", encoding="utf-8") as file:
        file.write(text)
