"""
How long a simulation of 500 keysets over 5 years takes.

Processor time, since a machine is never quiet. Nothing is asserted here; the bound is 10 s on two cores.
"""

import time
from datetime import UTC, datetime, timedelta

from rotator.core.calendar import Calendar, Window
from rotator.core.keyset import Key, Keyset
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.stages import Timing
from rotator.core.tenant import TenantId
from rotator.simulation.run import Wanted, simulate

START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TIMING = Timing(check_interval=HOUR, settle=timedelta(minutes=2), dry_run=False)
MIDWEEK = Calendar(
    name="midweek",
    zone=UTC,
    zone_name="UTC",
    windows=(Window(days=frozenset({1, 2, 3}), opens=9 * 3600, closes=16 * 3600),),
)


def main() -> None:
    """Measure, and print a line for each figure."""
    for tenants, keysets, calendar in ((50, 10, None), (1, 500, None), (50, 10, MIDWEEK)):
        wanted = [_wanted(tenant, keysets, calendar) for tenant in range(tenants)]
        began, processor = time.monotonic(), time.process_time()
        found = simulate(wanted, TIMING, start=START, end=START + 1826 * DAY)
        seconds, used = time.monotonic() - began, time.process_time() - processor
        name = "no calendar" if calendar is None else calendar.name
        print(
            f"{tenants} tenants with {keysets} keysets, 5 years, {name}: {found.generated} keys, "
            f"{seconds:.1f} s ({used:.1f} s of processor time)"
        )


def _wanted(tenant: int, keysets: int, calendar: Calendar | None) -> Wanted:
    """A tenant whose keysets are of different ages, so that hardly two are due together."""
    policies, found = [], []
    for number in range(keysets):
        policy = RotationPolicy(
            keyset_id=f"B2C_1A_Keyset{number}",
            use="sig",
            kty="RSA",
            mode=Mode.ROTATE,
            rotate_every=90 * DAY,
            overlap=25 * HOUR,
            publication_lead=48 * HOUR,
            renewal_window=14 * DAY,
            calendar=calendar,
        )
        age = timedelta(minutes=(tenant * keysets + number) * 4321 % (70 * 24 * 60))
        key = Key(kid="first", nbf=START - age, exp=START - age + policy.validity, use="sig", kty="RSA")
        policies.append(policy)
        found.append(Keyset(id=policy.keyset_id, keys=(key,)))
    return Wanted(
        name=f"tenant{tenant}",
        id=TenantId("https://graph", "https://login", f"tenant{tenant}"),
        policies=tuple(policies),
        keysets=tuple(found),
    )


if __name__ == "__main__":
    main()
