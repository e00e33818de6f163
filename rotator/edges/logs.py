"""
Log lines. Only this module imports structlog.

Each line on stderr is a JSON object, or on a terminal a line for people. Warnings and errors of
other libraries get the same form. No secret is printed: objects that hold a secret do not
show it in their repr, tracebacks have no local variables, and the last step before
a line is written redacts known secrets, tokens and private keys, also in lines
of other libraries.
"""

import logging
import os
import sys
import threading
from typing import Protocol

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from rotator.core.text import printable
from rotator.edges.redactor import Event, Redactor

MAX_MESSAGE = 500  # characters of `message` in a log line
_FOREIGN = ("httpx", "httpcore", "apscheduler", "msal", "urllib3")

Logger = FilteringBoundLogger


class LogStream(Protocol):
    """A stream for log lines, such as stderr."""

    def write(self, text: str, /) -> object:
        """Write *text*."""
        ...

    def flush(self) -> None:
        """Flush the stream."""
        ...

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        ...


def logger(level: str, style: str, redactor: Redactor, stream: LogStream = sys.stderr) -> FilteringBoundLogger:
    """
    The logger of rotator; it also configures the standard library's logging for other libraries.

    style: json, console, or auto (console where *stream* is a terminal)
    """
    terminal = stream.isatty()
    console = style == "console" or (style == "auto" and terminal)
    stamp: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render: list[Processor] = [
        redactor,
        _bounded,
        _one_line if console else _in_order,
        structlog.dev.ConsoleRenderer(colors=terminal and not os.environ.get("NO_COLOR"), sort_keys=False)
        if console
        else structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(stream)
    foreign = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=foreign, foreign_pre_chain=stamp))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)
    # APScheduler's own messages are not needed: there are the events job.missed and job.raised.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)
    # MSAL logs bodies of answers that it cannot parse; its exceptions are logged by rotator.
    logging.getLogger("msal").setLevel(logging.CRITICAL)
    bound: FilteringBoundLogger = structlog.wrap_logger(
        _Lines(stream, handler),
        processors=[*stamp, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return bound


class _Lines:
    """
    Writes our own lines, which are rendered already, to the stream that the lines of other libraries go to.

    The standard library's logging would take half of the time of a line for records that nothing reads.
    """

    def __init__(self, stream: LogStream, handler: logging.Handler) -> None:
        """*handler* writes the lines of other libraries; its lock keeps the lines apart."""
        self._stream = stream
        self._handler = handler

    def write(self, line: str) -> None:
        """Write *line*; it is lost if the stream is closed or its reader has ended."""
        self._handler.acquire()
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            return
        finally:
            self._handler.release()

    debug = info = warning = error = critical = write


def log_crashes(log: FilteringBoundLogger) -> None:
    """Log exceptions that nothing catches as redacted log lines; Python itself would print them unredacted."""

    def crashed(kind: type[BaseException], error: BaseException | None, _: object) -> None:
        if issubclass(kind, Exception):
            log.critical("rotator.crashed", thread=threading.current_thread().name, exc_info=error)

    sys.excepthook = crashed
    threading.excepthook = lambda found: crashed(found.exc_type, found.exc_value, found.exc_traceback)


def _bounded(logger: object, name: str, event: Event) -> Event:
    """Limit the length of the message. This follows the redaction, which would not find a secret that was cut."""
    del logger, name
    message = event.get("message")
    if isinstance(message, str) and len(message) > MAX_MESSAGE:
        event["message"] = f"{message[: MAX_MESSAGE - 3]}..."
    return event


def _in_order(logger: object, name: str, event: Event) -> Event:
    """Put timestamp, level and event first, where readers look for them."""
    del logger, name
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


def _one_line(logger: object, name: str, event: Event) -> Event:
    """Escape line ends and control characters in all values except the traceback."""
    del logger, name
    return {
        key: printable(value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }
