"""A cache for pages that are slow to render."""

import threading
import time
from collections.abc import Callable

from rotator.edges.web import Page

MAX_AGE = 5.0  # seconds after which a page is rendered again although nothing has changed
MAX_SHARE = 0.05  # of the time: the limit for rendering one page


class Rendered:
    """
    One cached page. One thread at a time renders it; others wait and use the result.

    A page that is quick to render shows a change at once. A slow page shows it after at most
    `MAX_AGE` seconds, and if nothing changes, rendering it takes at most `MAX_SHARE` of the time.
    """

    def __init__(
        self,
        render: Callable[[], Page],
        version: Callable[[], object],
        lock: threading.Lock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Start without a rendered page.

        version: returns a value that stays equal while nothing has changed
        lock:    held while the page is rendered; pages with the same lock are rendered one at a time
        """
        self._render = render
        self._version = version
        self._lock = lock
        self._monotonic = monotonic
        self._page: Page | None = None
        self._rendered_at = 0.0
        self._seconds = 0.0
        self._rendered_version: object = None

    def get(self) -> Page:
        """The page, rendered again if it is too old (see the class)."""
        with self._lock:
            version, began = self._version(), self._monotonic()
            if self._page is not None and began - self._rendered_at < self._max_age(version):
                return self._page
            self._page = self._render()
            self._rendered_at = self._monotonic()
            self._seconds = self._rendered_at - began
            self._rendered_version = version
            return self._page

    def _max_age(self, version: object) -> float:
        pause = self._seconds / MAX_SHARE
        return max(pause, MAX_AGE) if version == self._rendered_version else min(pause, MAX_AGE)
