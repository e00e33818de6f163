"""Pages that take long to render, rendered no more often than they change."""

import threading
import time
from collections.abc import Callable

from rotator.edges.web import Page

MAX_AGE = 5.0  # seconds after which a page is rendered again although nothing has changed
MAX_SHARE = 0.05  # of the time that may go into rendering one page


class Rendered:
    """
    One page, kept until it is out of date. One thread renders at a time, and others take what it made.

    Where a page is quick to render, a change shows at once. Where it is not, a change shows after
    `MAX_AGE` seconds at most, and a page without changes is rendered so seldom that rendering
    takes `MAX_SHARE` of the time.
    """

    def __init__(
        self,
        render: Callable[[], Page],
        version: Callable[[], object],
        lock: threading.Lock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Nothing is rendered yet.

        version: equal to the one before while nothing has changed
        lock:    held while a page is rendered; pages that share it are rendered one at a time
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
        """The page, at most so old as the class says."""
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
