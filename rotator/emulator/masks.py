"""Request bodies without their secrets, for the journal."""

import json
from urllib.parse import parse_qsl, urlencode

from rotator.emulator.operations import Operation

MASK = "***"
_SECRET = {
    "client_secret", "client_assertion", "k", "key", "password", "d", "p", "q", "dp", "dq", "qi",
}  # fmt: skip
_KEPT = 64 * 1024


def masked(operation: Operation, body: bytes) -> str | None:
    """*body* as text, its secrets masked; None where there is none."""
    if not body:
        return None
    text = body[:_KEPT].decode("utf-8", "replace")
    if operation is Operation.TOKEN:
        form = parse_qsl(text, keep_blank_values=True)
        return urlencode([(name, MASK if name in _SECRET else value) for name, value in form])
    try:
        return json.dumps(_masked(json.loads(text)))
    except (ValueError, RecursionError):
        # Not JSON: it is refused anyway, and nobody can tell what in it is secret.
        return MASK


def _masked(data: object) -> object:
    if isinstance(data, dict):
        return {name: MASK if name in _SECRET else _masked(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_masked(item) for item in data]
    return data
