"""The keysets of tenants that are not configured: as rows for people, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rotator.core.assessment import Cover
from rotator.core.inventory import MAX_INVENTORY, Inventory, InventoryKeyset, Validity, kind, validity
from rotator.core.text import format_instant
from rotator.views.certificates import certificate_text
from rotator.views.columns import wrapped
from rotator.views.phrases import count, remaining

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One keyset as texts: its id, the kty and use of its keys, and how long it has a valid key."""

    keyset: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The keysets of one tenant; the title says how many there are, and how many are left out."""

    title: str
    rows: tuple[Row, ...]


def sections(inventories: Sequence[Inventory], now: datetime) -> list[Section]:
    """A section for each tenant with keysets that are not configured."""
    return [
        Section(title=_title(each), rows=tuple(_row(keyset, now) for keyset in each.keysets))
        for each in inventories
        if each.keysets or each.left_out
    ]


def inventory_text(inventories: Sequence[Inventory], now: datetime, width: int) -> str:
    """The sections as lines of at most *width* columns; "" if there is nothing to show."""
    return "\n".join(line for section in sections(inventories, now) for line in _lines(section, width))


def _lines(section: Section, width: int) -> Iterator[str]:
    yield ""
    yield from wrapped(section.title, width)
    for row in section.rows:
        yield from (f"  {line}" for line in wrapped(f"{row.keyset}  {row.kind}: {row.text}", width - 2))


def inventory_json(inventories: Sequence[Inventory], now: datetime) -> list[Json]:
    """The member `inventory`: an object for each tenant."""
    return [
        {
            "tenant": each.tenant,
            "observed": format_instant(each.now),
            "left_out": each.left_out,
            "backups": each.backups,
            "keysets": [_json(keyset, now) for keyset in each.keysets],
        }
        for each in inventories
    ]


def _title(inventory: Inventory) -> str:
    title = f"{inventory.tenant}: {count(len(inventory.keysets))} not configured"
    if inventory.left_out:
        title += f"; {inventory.left_out} more are not observed (at most {MAX_INVENTORY} of a tenant are)"
    return f"{title}; {count(inventory.backups, 'backup')} (.bak)" if inventory.backups else title


def _row(of: InventoryKeyset, now: datetime) -> Row:
    if of.keyset is None:
        return Row(keyset=of.id, kind="unreadable", text=of.problem)
    kty, use = kind(of.keyset)
    texts = [_until(validity(of.keyset, now), now)]
    if certificate := certificate_text(of.keyset):
        texts.append(f"certificate {certificate}")
    return Row(keyset=of.id, kind=" ".join(filter(None, (kty, use))) or "no known type", text="; ".join(texts))


def _until(found: Validity, now: datetime) -> str:
    if found.end is not None:
        return f"covered until {format_instant(found.end)} ({remaining(found.end, now)})"
    return "no end: the key in use has no expiry" if found.cover is Cover.ENDLESS else "no valid key"


def _json(of: InventoryKeyset, now: datetime) -> Json:
    kty, use = (None, None) if of.keyset is None else kind(of.keyset)
    found = None if of.keyset is None else validity(of.keyset, now)
    certified = None if of.keyset is None or of.keyset.certified is None else of.keyset.certified.certificate
    return {
        "keyset": of.id,
        "kty": kty,
        "use": use,
        "cover": found.cover.value if found else None,
        "covered_until": format_instant(found.end) if found and found.end else None,
        "certificate_expires": format_instant(certified.chain_not_after) if certified else None,
        "error": of.problem or None,
    }
