"""Signals of a command that writes."""

import signal
import socket
import threading
from collections.abc import Callable

from rotator.wiring import Runtime


def heed_signals(runtime: Runtime, reload: Callable[[], None] | None = None) -> None:
    """
    Stop where SIGTERM or SIGINT comes, *reload* where SIGHUP does.

    Python runs its handlers in the main thread alone, which may be asleep in a lock
    while the kernel gives the signal to another one: nobody would hear of it. What
    is written to the wakeup fd comes from whichever thread it was.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if reload else ()))
    hears, tells = socket.socketpair()
    tells.settimeout(0)
    signal.set_wakeup_fd(tells.fileno())
    for number in numbers:
        signal.signal(number, lambda *_: None)

    def heed(_: socket.socket) -> None:
        # To the end of the process: a signal that comes twice must not be written to whatever has the number by then.
        while True:
            for number in hears.recv(1):
                if number == signal.SIGHUP and reload:
                    reload()
                elif number in numbers and not runtime.clock.is_stopping:
                    runtime.clock.stop()  # first: a log that nobody reads must not hold it up
                    runtime.log.info("rotator.stopping")

    threading.Thread(target=heed, args=(tells,), name="signals", daemon=True).start()
