"""
Redacts secrets in text: known values, and what looks like a token or a private key.

It is the last step before a line is logged, and before a report or a page is given out.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, quote_plus

from rotator.core.text import printable

REDACTED = "[secret]"
MIN_LENGTH = 8  # characters; a shorter value would be found inside words
MAX_RECENT = 1000
PIECE = 4  # characters; at most (MIN_LENGTH + 1) / 2, so that a value has as many pieces as are indexed
CHUNK = 16_384 * PIECE  # characters that are split into pieces at once, so that a long text takes little memory
_PIECES = re.compile(rf"[\s\S]{{{PIECE}}}")
_SHAPES = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:(?:\.[A-Za-z0-9_-]*){2,4}|\.[A-Za-z0-9_-]{8,})"  # a JWT (token, assertion), 5 parts: JWE
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;"})  # as templates escape

Event = MutableMapping[str, Any]
"""The values of a log line by name, as structlog passes them on."""


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
        return "".join((*parts, text[done:])) if done else text

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
