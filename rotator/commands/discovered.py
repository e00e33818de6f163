"""
The output of `discover`: a configuration with comments, and a summary for the terminal.

Pure functions. The output has no secret and no key material, only ids, kids, dates and names of certificates.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.core.assessment import Cover
from rotator.core.inventory import Listed, Validity, kind, validity
from rotator.core.keyset import Key, Keyset, KeyState
from rotator.core.policy import Mode
from rotator.core.text import format_instant, printable
from rotator.edges.setting_types import KEYSET_ID_PATTERN
from rotator.views.certificates import certificate_text
from rotator.views.columns import wrapped
from rotator.views.phrases import count, remaining

MAX_DISCOVERED = 1500  # keysets of one tenant: a configuration file has at most 1 MiB
MAX_KEYS = 4  # keys of one keyset in its comment
MAX_NAMES = 10  # of keysets in one line of the summary
SOON = timedelta(days=90)
_HEAD = """\
# Printed by `rotator discover` at {now}. It only reads.
#
#   rotator config check --config rotator.yaml     checks it, and the files that it names
#   rotator --config rotator.yaml --dry-run        the plan; writes nothing
#
# In mode: observe, rotator looks, measures and alerts, and never generates a key. Change one keyset at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """
    A tenant and its keysets.

    members:   its name, tenant_id, cloud and credential, as JSON
    modes:     the modes of keysets that are configured already, by their ids in lower case
    policies:  the policies whose JWKS were read
    publishes: pairs of a policy and a keyset: the JWKS of the policy lists a key of the keyset
    unread:    by policy, why its JWKS could not be read
    """

    members: Mapping[str, object]
    listed: Listed
    modes: Mapping[str, Mode]
    policies: tuple[str, ...] = ()
    publishes: frozenset[tuple[str, str]] = frozenset()
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The label in logs and metrics."""
        return str(self.members["name"])

    @property
    def keysets(self) -> list[Keyset]:
        """The keysets that can be configured, in the order of the list."""
        known = set[str]()
        found = []
        for each in self.listed.others.values():
            if isinstance(each, Keyset) and not _why_not(each) and each.id.lower() not in known:
                known.add(each.id.lower())
                found.append(each)
        return found

    @property
    def has_keysets(self) -> bool:
        """True if at least one keyset can be configured."""
        return bool(self.keysets)

    def published_by(self, keyset_id: str) -> tuple[str, ...]:
        """The policies whose JWKS lists a key of a keyset."""
        return tuple(policy for policy in self.policies if (policy, keyset_id) in self.publishes)

    def left_out(self) -> Iterator[str]:
        """A line for each keyset that cannot be configured, with the reason."""
        taken = {each.id for each in self.keysets}
        for keyset_id, each in self.listed.others.items():
            if not isinstance(each, Keyset):
                yield f"{keyset_id}: {each.failure.message}"
            elif keyset_id not in taken:
                yield f"{keyset_id}: {_why_not(each) or 'its id differs from that of another keyset in case alone'}"
        for backup in self.listed.backups:
            yield f"{backup}: a backup that B2C keeps of a deleted keyset"
        if self.listed.left_out:
            yield f"{count(self.listed.left_out)} more"


def configuration(tenants: Sequence[Discovered], now: datetime, ca_file: str | None) -> Iterator[str]:
    """The lines of a configuration that `config check` accepts."""
    yield _HEAD.format(now=format_instant(now))
    yield ""
    if ca_file is not None:
        yield f"ca_file: {json.dumps(ca_file)}"
    yield "tenants:"
    for tenant in tenants:
        yield from _tenant(tenant, now)


def _tenant(tenant: Discovered, now: datetime) -> Iterator[str]:
    members = {name: value for name, value in tenant.members.items() if (name, value) != ("cloud", "global")}
    for number, (name, value) in enumerate(members.items()):
        bullet = "  - " if number == 0 else "    "
        if name == "credential" and isinstance(value, Mapping):
            yield f"    {name}:"
            yield from (f"      {each}: {json.dumps(of)}" for each, of in value.items() if of is not None)
        else:
            yield f"{bullet}{name}: {json.dumps(value)}"
    yield "    keysets:"
    for keyset in tenant.keysets:
        yield from (f"      {line}" for line in _keyset(tenant, keyset, now))
    publishing = {policy for policy, _ in tenant.publishes}
    for policy in tenant.policies:
        if policy not in publishing:
            yield f"      # The JWKS of {policy} lists no key of these keysets."
    left_out = list(tenant.left_out())
    if left_out:
        yield "      # Left out:"
        yield from (f"      #   {printable(each)}" for each in left_out)


def _keyset(tenant: Discovered, keyset: Keyset, now: datetime) -> Iterator[str]:
    mode, (kty, use) = tenant.modes.get(keyset.id.lower()), kind(keyset)
    certificate = certificate_text(keyset)
    yield f"# {kty} {use or 'without a use'}, {count(len(keyset.keys), 'key')}, {_until(validity(keyset, now), now)}"
    ordered = sorted(keyset.states(now), key=lambda pair: pair[0].activates, reverse=True)
    yield from (f"#   {_key(key, state)}" for key, state in ordered[:MAX_KEYS])
    if len(ordered) > MAX_KEYS:
        yield f"#   and {len(ordered) - MAX_KEYS} older"
    if tenant.policies:
        yield from _publication(tenant.published_by(keyset.id), kty, use)
    if mode is not None:
        yield f"# It is configured already, with mode: {mode}."
    if certificate:
        yield f"# Certificate: {printable(certificate)}. People upload the next one: rotator generates none."
    elif kty == "oct":
        yield "# A secret: a generated one cannot be read, so other parties that share it would be locked out."
    yield f"- id: {keyset.id}"
    yield f"  use: {use or 'sig'}" + ("" if use else "                  # a guess: its keys name no use")
    if kty == "oct":
        yield "  kty: oct"
    if certificate or kty == "oct":
        yield "  mode: observe"
        return
    yield "  mode: observe             # rotate: rotator generates the next keys"
    if use == "enc":
        yield "  overlap: 15d              # refresh tokens are encrypted, and valid for 14 days by default"


def _publication(policies: Sequence[str], kty: str | None, use: str | None) -> Iterator[str]:
    if policies:
        yield f"# Listed in the JWKS of {', '.join(policies)}."
    elif kty == "RSA" and use == "sig":
        yield "# Listed in the JWKS of none of the policies that were read."
    if policies and use == "enc":
        yield "# Its keys have use enc, and relying parties may refuse tokens that such a key signed."


def _key(key: Key, state: KeyState) -> str:
    begin, end = (format_instant(each) if each else "-" for each in (key.nbf, key.exp))
    return f"{printable(key.kid or '-')}: {state}, {begin} to {end}"


def _why_not(keyset: Keyset) -> str:
    """Why a keyset cannot be configured; "" if it can."""
    if not re.fullmatch(KEYSET_ID_PATTERN, keyset.id):
        return "not the id of a keyset for custom policies (B2C_1A_...)"
    if not keyset.keys:
        return "it has no keys"
    return "" if kind(keyset)[0] else "its keys are of no type, of several, or of one that rotator does not know"


def _until(found: Validity, now: datetime) -> str:
    match found:
        case Validity(end=datetime() as end):
            return f"covered until {format_instant(end)} ({remaining(end, now)})"
        case Validity(cover=Cover.ENDLESS):
            return "no end"
        case _:
            return "no valid key"


def summary(tenants: Iterable[Discovered], now: datetime, width: int) -> Iterator[str]:
    """For each tenant: keysets that expire soon, that have no end, that nobody rotates, and that rotator cannot."""
    for tenant in tenants:
        keysets = tenant.keysets
        yield f"{tenant.name}: {count(len(keysets))}"
        for label, belongs in _GROUPS:
            names = [each.id for each in keysets if belongs(tenant, each, now)]
            more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
            listed = ", ".join(names[:MAX_NAMES]) or "none"
            yield from (f"  {line}" for line in wrapped(f"{label}: {listed}{more}", width - 2))


def _expires_soon(_: Discovered, keyset: Keyset, now: datetime) -> bool:
    end, certified = validity(keyset, now).end, keyset.certified
    ends = [end] if end is not None else []
    if certified is not None and certified.certificate is not None:
        ends.append(certified.certificate.chain_not_after)
    return bool(ends) and min(ends) <= now + SOON


def _is_neglected(tenant: Discovered, keyset: Keyset, now: datetime) -> bool:
    is_rotated = tenant.modes.get(keyset.id.lower()) is Mode.ROTATE
    return not is_rotated and not _is_for_people(tenant, keyset, now)


def _is_for_people(_: Discovered, keyset: Keyset, __: datetime) -> bool:
    return kind(keyset)[0] == "oct" or any(key.has_certificate for key in keyset.keys)


_GROUPS: tuple[tuple[str, Callable[[Discovered, Keyset, datetime], bool]], ...] = (
    ("without a valid key", lambda _, keyset, now: validity(keyset, now).cover is Cover.NONE),
    ("expire within 90 days", _expires_soon),
    ("have no end", lambda _, keyset, now: validity(keyset, now).cover is Cover.ENDLESS),
    ("rotated by nobody, although rotator could", _is_neglected),
    ("rotated by people alone (certificates, secrets)", _is_for_people),
)
