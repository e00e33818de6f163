"""What a command is waiting for, in a line: which tenants are being asked, and when the next look is."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from rotator.core.events import Event, Looked, RequestFinished

MAX_NAMED = 3  # tenants that are named at once
TICK = 1.0  # seconds between two pictures of a countdown
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


class Progress:
    """
    Consumes events of several threads, and shows a line for them.

    show: replaces the line; "" removes it
    now:  the clock
    """

    def __init__(self, show: Callable[[str], None], now: Callable[[], datetime]) -> None:
        """Nothing is waited for."""
        self._show = show
        self._now = now
        self._lock = threading.Lock()
        self._tries: dict[str, int] = {}  # of the tenants that have not answered yet
        self._total = 0
        self._next: tuple[str, datetime] | None = None

    def ask(self, tenants: Iterable[str]) -> None:
        """The tenants are being asked."""
        with self._lock:
            self._tries = dict.fromkeys(tenants, 1)
            self._total, self._next = len(self._tries), None
        self.tick()

    def wait(self, what: str, until: datetime) -> None:
        """*what* happens at *until*, and nothing before."""
        with self._lock:
            self._next = what, until
        self.tick()

    def end(self) -> None:
        """Nothing is waited for any more."""
        with self._lock:
            self._tries, self._next = {}, None
        self.tick()

    def on_event(self, event: Event) -> None:
        """Take note of who has answered, and of who is asked again."""
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
        """Show the line as it is now."""
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
        """Show the line again and again until *ended*; in a thread of its own."""
        while not ended.wait(TICK):
            self.tick()


def _is_tried_again(status: int | None) -> bool:
    return status is None or status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR


def _clock(span: timedelta) -> str:
    """1:42, or 1:02:03."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
