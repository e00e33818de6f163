"""
The series of the keysets, as lines of an exposition.

They are computed from the status store at each scrape. There are more than a dozen for
each keyset, and prometheus-client's encoder takes 5 to 10 us for each: 0.2 s of the
processor for a thousand keysets, every time. A gauge looks the same in both formats,
and is written here in a tenth of that.

Sources: "Exposition formats" (Prometheus documentation); OpenMetrics 1.0, "Text format".
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rotator.core.assessment import Assessment, Cover
from rotator.core.inventory import Inventory, kind, validity
from rotator.core.keyset import NEVER, Keyset, KeyState
from rotator.core.outcome import Observation, reason_name
from rotator.core.proof import KeysetProof
from rotator.core.status import KeysetStatus, Name, proofs
from rotator.edges.exposition import Labels, escaped, gauge, keyset_labels
from rotator.edges.proof_series import finding_counts, proof_series

_Read = Callable[[Observation, Assessment, datetime], datetime | None]
"""Reads an instant from the last observation, its assessment, and now."""

_INSTANTS: dict[str, tuple[str, _Read]] = {
    "active_key_expiration": (
        "Unix time in seconds at which the key in use now expires; absent if it does not, or there is none.",
        lambda observation, _, now: (
            active.exp if observation.keyset and (active := observation.keyset.active(now)) else None
        ),
    ),
    "coverage_end": (
        "Unix time in seconds at which the unbroken chain of dated keys ends; absent without an end, or a valid key.",
        lambda _, assessment, __: assessment.covered_until,
    ),
    "certificate_expiration": (
        "Unix time in seconds at which the certificate that is valid longest, or its chain, ends; absent without one.",
        lambda observation, _, __: _certificate_end(observation.keyset),
    ),
    "rotation_due": (
        "Unix time in seconds from which the next key is due.",
        lambda _, assessment, __: assessment.plan.renewal_due,
    ),
    "publish_by": (
        "Unix time in seconds by which the next key must be generated to keep its full publication lead.",
        lambda _, assessment, __: assessment.plan.publish_by,
    ),
    "next_activation": (
        "Unix time in seconds at which the next key takes over.",
        lambda _, assessment, __: assessment.plan.activation,
    ),
    "last_observed": (
        "Unix time in seconds at which the keyset was last seen.",
        lambda observation, _, __: observation.now,
    ),
}


def _certificate_end(keyset: Keyset | None) -> datetime | None:
    key = keyset.certified if keyset else None
    return key.certificate.chain_not_after if key is not None and key.certificate is not None else None


_Other = tuple[Labels, Keyset, datetime]
"""A keyset that is not configured, and when it was last read."""


def keyset_series(
    prefix: str,
    entries: Mapping[Name, KeysetStatus],
    now: datetime,
    stale: timedelta,
    inventories: Sequence[Inventory] = (),
) -> Iterator[str]:
    """
    The lines, each with its line end, of every metric of the keysets in the status store.

    prefix:      of every metric's name
    stale:       the maximum age of an observation; with an older one, a keyset has only the series that need none
    inventories: the keysets that are not configured; they have no series if they were last read too long ago
    """
    labels = {name: keyset_labels(name) for name in entries}
    known = [(labels[name], entry) for name, entry in entries.items()]
    others = _others(inventories, now, stale)
    fresh = [
        (each, entry.observation) for each, entry in known if entry.observation and now - entry.observation.now <= stale
    ]

    def family(name: str, text: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
        return gauge(f"{prefix}keyset_{name}", text, samples)

    info = "What is configured, or only observed (mode inventory), in labels; always 1."
    yield from family("info", info, [*_info(known), *_others_info(others)])
    for name, (text, read) in _INSTANTS.items():
        samples = [*_instants(fresh, read, now), *_other_instants(others, name, now)]
        yield from family(f"{name}_timestamp_seconds", text, samples)
    undated = "1 if the key in use has no expiry, and nothing replaces it; otherwise 0."
    yield from family("undated", undated, _undated(fresh, others, now))
    expires = "Unix time in seconds of the configured expiry (setting expires)."
    yield from family("expires_timestamp_seconds", expires, _expires(known))
    yield from family("keys", "Number of keys of a keyset, by state.", _keys(fresh, now))
    found = proofs(entries, now)
    notes = (*_notes(fresh), *_findings(labels, found))
    yield from family("notes", "Number of notes and findings about the keyset or its keys, by name of the note.", notes)
    outcome = "The effective outcome of the last look and its reason, in labels; always 1."
    yield from family("outcome", outcome, _outcomes(known))
    hold_until = "Unix time in seconds at which the hold ends; absent if there is none, or it has ended."
    yield from family("hold_until_timestamp_seconds", hold_until, _holds(known, now))
    yield from _calendars(prefix, entries.values(), now)
    yield from family("consecutive_failures", "Number of looks that failed in a row.", _failures(known))
    yield from proof_series(prefix, entries, found, now)


def _others(inventories: Sequence[Inventory], now: datetime, stale: timedelta) -> list[_Other]:
    return [
        (keyset_labels((each.tenant, of.id)), of.keyset, each.now)
        for each in inventories
        if now - each.now <= stale
        for of in each.keysets
        if of.keyset is not None
    ]


def _info(known: Iterable[tuple[Labels, KeysetStatus]]) -> Iterator[tuple[str, float]]:
    for (keyset, tenant), entry in known:
        policy = entry.policy
        yield f'{keyset},kty="{policy.kty}",mode="{policy.mode}",{tenant},use="{policy.use}"', 1


def _instants(fresh: Iterable[tuple[Labels, Observation]], read: _Read, now: datetime) -> Iterator[tuple[str, float]]:
    for labels, observation in fresh:
        instant = read(observation, observation.assessment, now) if observation.assessment else None
        if instant is not None and instant != NEVER:
            yield ",".join(labels), instant.timestamp()


def _expires(known: Iterable[tuple[Labels, KeysetStatus]]) -> Iterator[tuple[str, float]]:
    for labels, entry in known:
        if entry.policy.expires is not None:
            yield ",".join(labels), entry.policy.expires.timestamp()


def _others_info(others: Iterable[_Other]) -> Iterator[tuple[str, float]]:
    for (keyset, tenant), seen, _ in others:
        kty, use = kind(seen)
        yield f'{keyset},kty="{kty or ""}",mode="inventory",{tenant},use="{use or ""}"', 1


def _other_instants(others: Iterable[_Other], name: str, now: datetime) -> Iterator[tuple[str, float]]:
    """The instants of a keyset without a rotation policy."""
    for labels, seen, at in others:
        match name:
            case "coverage_end":
                instant = validity(seen, now).end
            case "certificate_expiration":
                instant = _certificate_end(seen)
            case "last_observed":
                instant = at
            case _:
                return
        if instant is not None:
            yield ",".join(labels), instant.timestamp()


def _undated(
    fresh: Iterable[tuple[Labels, Observation]], others: Iterable[_Other], now: datetime
) -> Iterator[tuple[str, float]]:
    for labels, observation in fresh:
        yield ",".join(labels), observation.assessment is not None and observation.assessment.cover is Cover.ENDLESS
    for labels, seen, _ in others:
        yield ",".join(labels), validity(seen, now).cover is Cover.ENDLESS


def _keys(fresh: Iterable[tuple[Labels, Observation]], now: datetime) -> Iterator[tuple[str, float]]:
    """The states of the keys now, which may have changed since the look."""
    for (keyset, tenant), observation in fresh:
        counts = Counter(state for _, state in observation.keyset.states(now)) if observation.keyset else Counter()
        for state in KeyState:
            yield f'{keyset},state="{state}",{tenant}', counts[state]


def _notes(fresh: Iterable[tuple[Labels, Observation]]) -> Iterator[tuple[str, float]]:
    for (keyset, tenant), observation in fresh:
        notes = observation.assessment.notes if observation.assessment else ()
        for which, number in Counter(note.kind for note in notes).items():
            yield f'{keyset},note="{which}",{tenant}', number


def _findings(labels: Mapping[Name, Labels], found: Mapping[Name, KeysetProof]) -> Iterator[tuple[str, float]]:
    for name, proof in found.items():
        keyset, tenant = labels[name]
        for which, number in finding_counts(proof):
            yield f'{keyset},note="{which}",{tenant}', number


def _outcomes(known: Iterable[tuple[Labels, KeysetStatus]]) -> Iterator[tuple[str, float]]:
    """The effective outcome of each keyset."""
    for (keyset, tenant), entry in known:
        if entry.effective_outcome is not None:
            outcome, reason = entry.effective_outcome.name, reason_name(entry.effective_outcome)
            yield f'{keyset},outcome="{outcome}",reason="{reason}",{tenant}', 1


def _holds(known: Iterable[tuple[Labels, KeysetStatus]], now: datetime) -> Iterator[tuple[str, float]]:
    for labels, entry in known:
        if entry.policy.hold is not None and entry.policy.hold.lasts(now):
            yield ",".join(labels), entry.policy.hold.ends.timestamp()


def _calendars(prefix: str, entries: Iterable[KeysetStatus], now: datetime) -> Iterator[str]:
    """Whether each calendar that a keyset uses is open."""
    calendars = {entry.policy.calendar.name: entry.policy.calendar for entry in entries if entry.policy.calendar}
    samples = ((f'calendar="{escaped(name)}"', calendar.is_open(now)) for name, calendar in sorted(calendars.items()))
    yield from gauge(
        f"{prefix}calendar_open", "1 if the calendar is open now, so that keys may take over; otherwise 0.", samples
    )


def _failures(known: Iterable[tuple[Labels, KeysetStatus]]) -> Iterator[tuple[str, float]]:
    for labels, entry in known:
        if entry.outcome is not None:
            yield ",".join(labels), entry.failures
