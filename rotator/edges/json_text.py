"""
Parses JSON from services, after a check that the result fits into memory.

An object takes up to 40 times the bytes of its JSON: `{}` is two bytes long, and takes 72.
A text with at least one character that is not ASCII takes two or four bytes for each character, so that a
single emoji can make 8 MiB of JSON into 64 MiB of text.

Source: RFC 8259; a byte order mark is tolerated, as its section 8.1 allows.
"""

import json
import re
from typing import Any

MAX_ELEMENTS = 100_000  # values and members of an answer
MAX_WIDE_BYTES = 256 * 1024  # of JSON that is not ASCII; ids of keysets and of keys are
_WIDE = re.compile(rb"\\u(?!00[0-7])")  # the escape of a character that is not ASCII


def parse_json(body: bytes | bytearray, max_elements: int = MAX_ELEMENTS) -> Any:  # noqa: ANN401 - JSON
    """
    The value of *body*.

    Raises:
        ValueError: it is not JSON in UTF-8, may have more than *max_elements*, or its texts may be too large.
        RecursionError: it is nested too deeply.

    """
    # Each element begins with one of these characters. Those within texts are counted too, which is rare.
    if sum(body.count(mark) for mark in (b"{", b"[", b",")) > max_elements:
        msg = f"more than {max_elements} elements"
        raise ValueError(msg)
    if len(body) > MAX_WIDE_BYTES and (not body.isascii() or _WIDE.search(body)):
        msg = f"more than {MAX_WIDE_BYTES} bytes, and not only ASCII"
        raise ValueError(msg)
    return json.loads(body.decode("utf-8-sig"))
