"""The event stream: it hands each event to logs, metrics, the status store and all other consumers."""

from collections.abc import Callable

from rotator.core.events import Event, JobFailed

Consumer = Callable[[Event], None]


class Stream:
    """
    Hands each event to every consumer, in the thread that creates the event.

    Consumers are added while the program is wired, before the first event. If one raises, the
    others still get the event, and the creator of the event does not see the exception. It
    becomes a `JobFailed` event for all consumers except the one that failed.
    """

    def __init__(self) -> None:
        """Start without consumers."""
        self._consumers: list[Consumer] = []

    def add(self, consumer: Consumer) -> None:
        """Hand each event to *consumer* from now on; it must not block."""
        self._consumers.append(consumer)

    def tell(self, event: Event) -> None:
        """Hand *event* to every consumer."""
        for consumer in self._consumers:
            try:
                consumer(event)
            except Exception as error:  # noqa: BLE001 - a failing consumer must not affect the others
                self._report(consumer, JobFailed(job=f"event.{type(event).__name__}", error=error))

    def _report(self, failed: Consumer, event: JobFailed) -> None:
        for consumer in self._consumers:
            if consumer is failed:
                continue
            try:
                consumer(event)
            except Exception:  # noqa: BLE001, S112 - a further report could fail in the same way
                continue
