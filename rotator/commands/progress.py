"""The progress line of a command: which tenants have not answered, and when the next look is."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from rotator.core.events import Event, Looked, RequestFinished

MAX_NAMED = 3  # tenants in the line
TICK = 1.0  # seconds between two updates of the line
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


class Progress:
    """
    Shows the progress as one line. It consumes events, from several threads.

    show: replaces the line; "" removes it
    now:  returns the current instant
    """

    def __init__(self, show: Callable[[str], None], now: Callable[[], datetime]) -> None:
        """Start without a line."""
        self._show = show
        self._now = now
        self._lock = threading.Lock()
        self._tries: dict[str, int] = {}  # of the tenants that have not answered yet
        self._total = 0
        self._next: tuple[str, datetime] | None = None

    def ask(self, tenants: Iterable[str]) -> None:
        """Show that requests to *tenants* are in progress."""
        with self._lock:
            self._tries = dict.fromkeys(tenants, 1)
            self._total, self._next = len(self._tries), None
        self.tick()

    def wait(self, what: str, until: datetime) -> None:
        """Show that *what* follows at *until*."""
        with self._lock:
            self._next = what, until
        self.tick()

    def end(self) -> None:
        """Remove the line."""
        with self._lock:
            self._tries, self._next = {}, None
        self.tick()

    def on_event(self, event: Event) -> None:
        """Count the tenants that have answered, and the retries."""
        with self._lock:
            match event:
                case Looked(outcome=outcome):
                    self._tries.pop(outcome.observation.tenant, None)
                case RequestFinished(tenant=tenant, exchange=exchange) if tenant in self._tries:
                    self._tries[tenant] += _is_tried_again(exchange.status)
                case _:
                    return
        self.tick()

    def tick(self) -> None:
        """Update the line."""
        self._show(self.text())

    def text(self) -> str:
        """The line; empty if nothing is waited for."""
        with self._lock:
            tries, waits = dict(self._tries), self._next
        if waits is not None:
            what, until = waits
            left = until - self._now()
            return f"{what} at {until:%H:%M:%S} UTC (in {_clock(left)})" if left > timedelta() else f"{what}: under way"
        if not tries:
            return ""
        names = [name if count == 1 else f"{name} (try {count})" for name, count in tries.items()]
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        answered = f"{self._total - len(tries)} of {self._total} tenants answered"
        return f"asking {', '.join(names[:MAX_NAMED])}{more}; {answered}"

    def run(self, ended: threading.Event) -> None:
        """Update the line every `TICK` until *ended* is set; runs in its own thread."""
        while not ended.wait(TICK):
            self.tick()


def _is_tried_again(status: int | None) -> bool:
    return status is None or status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR


def _clock(span: timedelta) -> str:
    """1:42, or 1:02:03."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
