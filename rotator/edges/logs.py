"""
Log lines. The only door to structlog.

One JSON object a line on stderr, or a readable line on a terminal. What other
libraries log goes through the same pipe, from warning on. Nothing secret is
printed: what holds a secret has a repr that does not show it, tracebacks come
without local variables, and the last step before a line is written redacts
known secrets, tokens and private keys, whichever library logged them.
"""

import logging
import os
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from rotator.core.text import printable

REDACTED = "[secret]"
MIN_LENGTH = 8  # characters; a shorter value would be found inside words
MAX_RECENT = 1000
MAX_MESSAGE = 500  # characters of `message` in a log line
_SHAPES = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:(?:\.[A-Za-z0-9_-]*){2,4}|\.[A-Za-z0-9_-]{8,})"  # a JWT (token, assertion), 5 parts: JWE
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)
_FOREIGN = ("httpx", "httpcore", "apscheduler", "msal", "urllib3")

Event = MutableMapping[str, Any]

Logger = FilteringBoundLogger


class LogStream(Protocol):
    """Where log lines go, such as stderr."""

    def write(self, text: str, /) -> object:
        """Write *text*."""
        ...

    def flush(self) -> None:
        """Have it read what was written."""
        ...

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        ...


class Redactor:
    """Replaces secrets in text. Values are registered when they are read; tokens and private keys go by their shape."""

    def __init__(self) -> None:
        """No value is registered."""
        self._lock = threading.Lock()
        self._permanent: tuple[str, ...] = ()
        self._recent: tuple[str, ...] = ()

    def register(self, value: str, *, permanent: bool) -> None:
        """
        Redact *value* from now on, unless it is so short that it could be a part of words.

        permanent: it stays in use; else it is one of many that come and go, such as a token, of
            which the last thousand are remembered
        """
        with self._lock:
            if len(value) < MIN_LENGTH or value in self._permanent or value in self._recent:
                return
            if permanent:
                self._permanent = (*self._permanent, value)
            else:
                self._recent = (*self._recent[1 - MAX_RECENT :], value)

    def redact(self, text: str) -> str:
        """*text* with `REDACTED` in place of each secret."""
        for value in (*self._permanent, *self._recent):
            if len(value) <= len(text):
                text = text.replace(value, REDACTED)
        return _SHAPES.sub(REDACTED, text)

    def __call__(self, logger: object, name: str, event: Event) -> Event:
        """Redact every value of a log line, as a processor of structlog."""
        del logger, name
        return {self.redact(key): self._clean(value) for key, value in event.items()}

    def _clean(self, value: object) -> object:
        if isinstance(value, bool | int | float | None):
            return value
        if isinstance(value, Mapping):
            return {self.redact(str(key)): self._clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(inner) for inner in value]
        return self.redact(str(value))


def logger(level: str, style: str, redactor: Redactor, stream: LogStream = sys.stderr) -> FilteringBoundLogger:
    """
    The program's logger; also takes over what libraries log.

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
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        redactor,
        _bounded,
        _one_line if console else _in_order,
        structlog.dev.ConsoleRenderer(colors=terminal and not os.environ.get("NO_COLOR"), sort_keys=False)
        if console
        else structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=render, foreign_pre_chain=stamp))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)
    # What it skips, and what jobs raise, is told by us, as job.missed and job.raised.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)
    # MSAL logs bodies of answers that it can't read; all that it raises is logged by us.
    logging.getLogger("msal").setLevel(logging.CRITICAL)
    ours = logging.getLogger("rotator")
    ours.setLevel(level.upper())
    bound: FilteringBoundLogger = structlog.wrap_logger(
        ours,
        processors=[*stamp, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return bound


def log_crashes(log: FilteringBoundLogger) -> None:
    """Have what nobody catches go through the same pipe from now on: Python itself would print whatever it quotes."""

    def crashed(kind: type[BaseException], error: BaseException | None, _: object) -> None:
        if issubclass(kind, Exception):
            log.critical("rotator.crashed", thread=threading.current_thread().name, exc_info=error)

    sys.excepthook = crashed
    threading.excepthook = lambda found: crashed(found.exc_type, found.exc_value, found.exc_traceback)


def _bounded(logger: object, name: str, event: Event) -> Event:
    """A message of bounded length; after the redaction, which would not find a secret that was cut."""
    del logger, name
    message = event.get("message")
    if isinstance(message, str) and len(message) > MAX_MESSAGE:
        event["message"] = f"{message[: MAX_MESSAGE - 3]}..."
    return event


def _in_order(logger: object, name: str, event: Event) -> Event:
    """Timestamp, level and event first: a line is read from the left."""
    del logger, name
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


def _one_line(logger: object, name: str, event: Event) -> Event:
    """Values without line ends and control characters; a traceback alone keeps its lines."""
    del logger, name
    return {
        key: printable(value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }
