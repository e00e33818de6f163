"""Asking a person at a terminal, or a script on stdin, whether a keyset is to be written."""

import sys


def agrees(keyset_id: str) -> bool:
    """Ask on stderr for the name of the keyset; whether the line on stdin is exactly that."""
    print(f"type {keyset_id} to go on: ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if line.strip() == keyset_id:
        return True
    print("rotator: that is not the name of the keyset; nothing was written", file=sys.stderr)
    return False
