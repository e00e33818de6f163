"""A headless Chromium, and a server for the pages that it shows."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rotator.edges.web import Page, Request, Server
from rotator.views.style import POLICY

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def browse(profile: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["chromium", *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    return done.stdout


@contextmanager
def serving() -> Iterator[Callable[..., str]]:
    """Serves pages under a security policy, by default their own: the address of the one with a given text."""
    pages: dict[str, Callable[[Request], Page]] = {}
    server = Server("127.0.0.1", 0, pages, on_bug=lambda error: pytest.fail(str(error)))
    server.start()

    def serve(text: str, security: str = POLICY) -> str:
        path = f"/{len(pages)}"
        pages[path] = lambda _: Page(text.encode(), "text/html; charset=utf-8", security=security)
        return f"http://127.0.0.1:{server.port}{path}"

    try:
        yield serve
    finally:
        server.stop()


def scheme(*, dark: bool) -> tuple[str, ...]:
    return ("--blink-settings=preferredColorScheme=0",) if dark else ()
