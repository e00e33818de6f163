"""
Log lines. Only this module imports structlog.

Each line on stderr is a JSON object, or on a terminal a line for people. Warnings and errors of
other libraries get the same form. No secret is printed: objects that hold a secret do not
show it in their repr, tracebacks have no local variables, and the last step before
a line is written redacts known secrets, tokens and private keys, also in lines
of other libraries.
"""

import json
import logging
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from rotator.core.text import printable

REDACTED = "[secret]"
MIN_LENGTH = 8  # characters; a shorter value would be found inside words
MAX_RECENT = 1000
MAX_MESSAGE = 500  # characters of `message` in a log line
PIECE = 4  # characters; at most (MIN_LENGTH + 1) / 2, so that a value has as many pieces as are indexed
CHUNK = 16_384 * PIECE  # characters that are split into pieces at once, so that a long text takes little memory
_PIECES = re.compile(rf"[\s\S]{{{PIECE}}}")
_SHAPES = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:(?:\.[A-Za-z0-9_-]*){2,4}|\.[A-Za-z0-9_-]{8,})"  # a JWT (token, assertion), 5 parts: JWE
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;"})  # as templates escape
_FOREIGN = ("httpx", "httpcore", "apscheduler", "msal", "urllib3")

Event = MutableMapping[str, Any]

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


class Redactor:
    """
    Replaces secrets in text: registered values, and everything that looks like a token or a private key.

    The cost of a text does not depend on how many values are known. Each value is indexed by
    its last pieces: the `PIECE` characters before its end, and those before each of the
    `PIECE` - 1 places to the left of it. Wherever the value stands, one of these begins at a
    multiple of `PIECE`, so that only these places of a text are looked up. Its end and not its
    beginning is used, since the first characters of all tokens are alike.
    """

    def __init__(self) -> None:
        """Start without registered values."""
        self._lock = threading.Lock()
        self._recent: deque[str] = deque()
        self._known: set[str] = set()
        # By piece: the forms of values, and how far after the piece each of them ends. Entries are replaced
        # and never changed, since `redact` reads them without the lock.
        self._index: dict[str, tuple[tuple[str, int], ...]] = {}

    def register(self, value: str, *, permanent: bool) -> None:
        """
        Redact *value* from now on, unless it is shorter than `MIN_LENGTH`.

        permanent: it is redacted forever; otherwise it is one of many values that change, such as a token, of
            which the last `MAX_RECENT` are redacted
        """
        with self._lock:
            if len(value) < MIN_LENGTH or value in self._known:
                return
            self._known.add(value)
            for form in _forms(value):
                for piece, behind in _pieces(form):
                    self._index[piece] = (*self._index.get(piece, ()), (form, behind))
            if not permanent:
                self._recent.append(value)
            if len(self._recent) > MAX_RECENT:
                self._forget(self._recent.popleft())

    def _forget(self, value: str) -> None:
        self._known.discard(value)
        for form in _forms(value):
            for piece, behind in _pieces(form):
                others = tuple(entry for entry in self._index[piece] if entry != (form, behind))
                if others:
                    self._index[piece] = others
                else:
                    del self._index[piece]

    def redact(self, text: str) -> str:
        """*text* with `REDACTED` in place of each secret; secrets that overlap are replaced as one."""
        if len(text) < MIN_LENGTH:
            return text
        if self._may_have_values(text):
            text = self._without_values(text)
        has_shape = "eyJ" in text or "-----BEGIN" in text  # much faster than the expression, which finds nothing else
        return _SHAPES.sub(REDACTED, text) if has_shape else text

    def _may_have_values(self, text: str) -> bool:
        """True if a piece of a value is in *text*: a quick look, after which most texts need no other."""
        known = self._index.keys()
        begins = range(0, len(text), CHUNK)
        return not all(known.isdisjoint(_PIECES.findall(text, begin, begin + CHUNK)) for begin in begins)

    def _without_values(self, text: str) -> str:
        parts, done = [], 0
        for begin, end in self._found(text):
            parts += [text[done:begin], REDACTED]
            done = end
        return "".join((*parts, text[done:]))

    def _found(self, text: str) -> list[tuple[int, int]]:
        """The positions of values in *text*: begin and end of each stretch, sorted, without overlap."""
        index = self._index
        spans = [
            (place + PIECE + behind - len(form), place + PIECE + behind)
            for place in range(0, len(text) - PIECE + 1, PIECE)
            if (piece := text[place : place + PIECE]) in index
            for form, behind in index.get(piece, ())
            if place + PIECE + behind >= len(form) and text.startswith(form, place + PIECE + behind - len(form))
        ]
        joined: list[tuple[int, int]] = []
        for begin, end in sorted(spans):
            if joined and begin < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((begin, end))
        return joined

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


def _forms(value: str) -> set[str]:
    """*value* as it appears in plain text, in HTML, JSON, a URL and a form; the redaction sees all of these."""
    in_text = {value, value.translate(_ESCAPES), json.dumps(value)[1:-1], printable(value)}
    return in_text | {
        quote(value, errors="replace"),
        quote(value, "", errors="replace"),
        quote_plus(value, errors="replace"),
    }


def _pieces(form: str) -> list[tuple[str, int]]:
    """The pieces by which *form* is found, each with the number of characters from its end to that of *form*."""
    return [(form[len(form) - PIECE - behind : len(form) - behind], behind) for behind in range(PIECE)]


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
