"""
The command `token`: says which key signed or encrypted the token on stdin.

Only the header of the token is read. No part of the token except its kid is printed, logged or sent.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rotator.commands.check import exit_on_error
from rotator.core.errors import RequestError
from rotator.core.inventory import MAX_INVENTORY, kind
from rotator.core.keyset import NEVER, Key, Keyset
from rotator.core.outcome import Exit
from rotator.core.text import format_instant, printable
from rotator.edges import logs
from rotator.edges.jose import MAX_TOKEN_LENGTH, header_kid
from rotator.edges.stdout import say
from rotator.shell.tenant import Tenant
from rotator.wiring import Program, wire

FOUND, NOT_FOUND = 0, 1

_MEANING = (
    "The token is from another tenant, or from a user flow (B2C_1_...), whose keys belong to Microsoft. "
    "Or its keyset was deleted."
)


@dataclass(frozen=True, kw_only=True)
class _Made:
    """
    Which key made the token.

    keyset_id:     as configured, if it is
    use:           as configured, else of the keys of the keyset; None if they differ or have none
    is_configured: the keyset has a rotation policy; otherwise rotator does not rotate it
    """

    tenant: Tenant
    keyset_id: str
    use: str | None
    is_configured: bool
    keyset: Keyset
    key: Key


def token(path: Path, *, as_json: bool) -> int:
    """
    Print which keyset and key of the configured tenants signed or encrypted the token on stdin.

    Returns:
        0 if it was found, 1 if it was not, 64 if there is no token on stdin.

    """
    stdin = sys.stdin  # None where the program was started without one
    content = b"" if stdin is None else stdin.buffer.read(MAX_TOKEN_LENGTH + 1)
    text = content.decode("ascii", "replace").strip()
    kid = header_kid(text.removeprefix("Bearer ").strip())
    del content, text
    if kid is None:
        print("rotator: token: stdin has no JWT, refresh token or authorization code with a kid", file=sys.stderr)
        return Exit.USAGE
    with exit_on_error():
        program = wire(path)
        logs.log_crashes(program.log)
        tenants = program.tenants(program.settings)
    made, failed = _find(tenants, kid)
    if as_json:
        say(program.redactor.redact(json.dumps(_document(program, kid, made), indent=2)))
    else:
        for line in _lines(program, kid, made, failed):
            say(program.redactor.redact(printable(line)))
    return FOUND if made is not None else NOT_FOUND


def _find(tenants: tuple[Tenant, ...], kid: str) -> tuple[_Made | None, list[str]]:
    """The key with *kid* and its keyset, and a line for each keyset or tenant that could not be read."""
    failed: list[str] = []
    for tenant in tenants:
        uses = {policy.keyset_id: policy.use for policy in tenant.policies}
        try:
            listed = tenant.keysets.list_keysets(tuple(uses), MAX_INVENTORY)
        except RequestError as error:
            failed.append(f"{tenant.name}: {error.failure.message}")
            continue
        for keyset_id, keyset in (*listed.wanted.items(), *listed.others.items()):
            if isinstance(keyset, RequestError):
                failed.append(f"{tenant.name}/{keyset_id}: {keyset.failure.message}")
                continue
            key = next((key for key in keyset.keys if key.kid == kid), None)
            if key is not None:
                use = uses[keyset_id] if keyset_id in uses else kind(keyset)[1]
                is_configured = keyset_id in uses
                made = _Made(
                    tenant=tenant, keyset_id=keyset_id, use=use, is_configured=is_configured, keyset=keyset, key=key
                )
                return made, failed
        if listed.left_out:
            failed.append(f"{tenant.name}: {listed.left_out} keysets that are not configured; there are too many")
    return None, failed


def _is_published(made: _Made) -> bool | None:
    """Whether any policy lists the key now; None if that is not known."""
    if made.tenant.sign_in is None:
        return None
    probe = made.tenant.sign_in.probe(with_token=False, ask_active=())
    if not probe.listed:
        return None
    return any(
        each.kid == made.key.kid and each.modulus == made.key.modulus for keys in probe.listed.values() for each in keys
    )


def _document(program: Program, kid: str, made: _Made | None) -> dict[str, object]:
    now = program.clock.now()
    found = made is not None
    return {
        "schema": 1,
        "now": format_instant(now),
        "kid": kid,
        "found": found,
        "tenant": made.tenant.name if made else None,
        "keyset": made.keyset_id if made else None,
        "configured": made.is_configured if made else None,
        "use": made.use if made else None,
        "state": _state(made, program) if made else None,
        "published": _is_published(made) if made else None,
        "valid_until": format_instant(made.key.expires) if made and made.key.expires != NEVER else None,
    }


def _lines(program: Program, kid: str, made: _Made | None, failed: list[str]) -> Iterator[str]:
    for each in failed:
        yield f"not read: {each}"
    if made is None:
        yield f"kid {kid}: no keyset of the configured tenants has this key"
        yield _MEANING
        return
    yield f"kid {kid}"
    yield f"tenant {made.tenant.name}"
    hint = "" if made.is_configured else ", not configured: rotator does not rotate it"
    yield f"keyset {made.keyset_id} ({made.use or 'use unknown'}){hint}"
    yield f"key {_state(made, program)}"
    if (published := _is_published(made)) is not None:
        yield "published: yes" if published else "published: no, so relying parties that read the JWKS now reject it"
    verb = "decrypts" if made.use == "enc" else "verifies"
    if not made.key.enabled:
        yield f"{verb}: no, the key is disabled"
    elif made.key.expires == NEVER:
        yield f"{verb} without end: the key does not expire"
    else:
        yield f"{verb} until {format_instant(made.key.expires)}"


def _state(made: _Made, program: Program) -> str:
    states = dict(made.keyset.states(program.clock.now()))
    return states[made.key].value
