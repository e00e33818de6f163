"""The end of the demo: a table of the generated keys, and a check that each keyset always had a valid key."""

import math
from collections.abc import Iterator

from rotator.commands.demo_show import short
from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.keys import active_key
from rotator.emulator.model.keysets import Keyset
from rotator.emulator.model.switches import TieBreak
from rotator.emulator.model.tenants import Tenant

LENGTH = 30.0
"""Seconds that the demo lasts."""


def conclude(tenant: Tenant, began: float, ended: float) -> int:
    """Print the generated keys and the gaps; returns 1 if there was a gap, else 0. Instants are epoch seconds."""
    print(
        f"{'KEYSET':11}  {'KID':8}  {'GENERATED':>9}  {'TAKES OVER':>10}  {'EXPIRES':>7}  {'LEAD':>5}  {'OVERLAP':>7}"
    )
    for keyset in tenant.all_keysets():
        for born in keyset.events:
            if isinstance(born, KeyAdded) and born.instant >= began:
                print(f"{short(keyset.id):11}  {_row(keyset, born, began)}")
    print()
    locked_out = [line for keyset in tenant.all_keysets() for line in _gaps(tenant, keyset, began, ended)]
    for line in locked_out:
        print(f"GAP: {line}")
    if locked_out:
        return 1
    print(f"No gap: in {ended - began:.0f}s, each keyset had a valid key since its first one.")
    return 0


def _row(keyset: Keyset, born: KeyAdded, began: float) -> str:
    """A row of the table; times are seconds since the start."""
    nbf, exp = float(born.key.nbf or 0), float(born.key.exp or 0)
    taken = max(nbf, born.instant)  # a key whose nbf is in the past takes over when it is generated
    before = active_key((key for key in keyset.keys if key.nbf is None or key.nbf < nbf), nbf - 0.5, TieBreak.NEWEST)
    overlap = "-" if before is None else "no end" if before.exp is None else _span(before.exp - nbf)
    return (
        f"{born.key.kid[:8]}  {born.instant - began:8.1f}s  {taken - began:9.1f}s  {exp - began:6.1f}s"
        f"  {taken - born.instant:4.1f}s  {overlap:>7}"
    )


def _span(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds < 3600 else f"{seconds / 86_400:.0f}d"


def _gaps(tenant: Tenant, keyset: Keyset, began: float, ended: float) -> Iterator[str]:
    """The times without a valid key, except for a keyset that had no key at the start."""
    births = [event.instant for event in keyset.events if isinstance(event, KeyAdded)]
    if not births:
        if ended - began < LENGTH:
            print(f"{short(keyset.id)} had no key at the start, and has none yet.")
        else:
            yield f"{short(keyset.id)} never had a key"
        return
    first = max(began, min(births))
    if first > began:
        print(f"{short(keyset.id)} had no key at the start; it has one since {first - began:.1f}s.")
    for gap in tenant.gaps(keyset.id, math.ceil(first), ended):
        yield f"{short(keyset.id)} had no valid key from {gap.start - began:.1f}s to {gap.end - began:.1f}s"
