"""The script that completes commands and options in a shell. The only door to shtab."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

from rotator.arguments import parser
from rotator.core.outcome import Exit
from rotator.edges.stdout import say


def completion(shell: str) -> int:
    """Print the script for *shell*."""
    root = parser()
    for action in _actions(root):
        if action.type is Path:
            # shtab reads this attribute; it has no other interface for it.
            vars(action)["complete"] = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE
    say(shtab.complete(root, shell=shell))
    return Exit.OK


def _actions(of: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every option and argument, including those of the commands."""
    for action in of._actions:  # noqa: SLF001 - argparse has no public interface; shtab does the same
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for command in action.choices.values():
                yield from _actions(command)
