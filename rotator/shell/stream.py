"""The one way from what happens to those who log, count, remember or show it."""

from collections.abc import Callable

from rotator.core.events import Event, JobFailed

Consumer = Callable[[Event], None]


class Stream:
    """
    Hands each event to every consumer, in the thread in which it happens.

    Consumers are added while the program is wired, before anything happens. One that
    fails keeps no other from the event, and nothing goes back to where it happened: the
    error becomes an event of its own, for all but the one that failed.
    """

    def __init__(self) -> None:
        """There are no consumers yet."""
        self._consumers: list[Consumer] = []

    def add(self, consumer: Consumer) -> None:
        """Have *consumer* get each event from now on; it must not wait for anything."""
        self._consumers.append(consumer)

    def tell(self, event: Event) -> None:
        """Give *event* to every consumer."""
        for consumer in self._consumers:
            try:
                consumer(event)
            except Exception as error:  # noqa: BLE001 - see above
                self._report(consumer, JobFailed(job=f"event.{type(event).__name__}", error=error))

    def _report(self, failed: Consumer, event: JobFailed) -> None:
        for consumer in self._consumers:
            if consumer is failed:
                continue
            try:
                consumer(event)
            except Exception:  # noqa: BLE001, S112 - there is nobody left to tell
                continue
