"""What there is to say of the program itself, before anything that it says of keysets is believed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.views.words import about as told


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """
    The program at one instant.

    refresh:  seconds after which a browser asks again
    stale:    how old an observation of a keyset, or a sweep, may be
    began:    since when it looks at keysets
    swept:    when the last sweep ended; None before that
    silence:  for how long its scheduler has not shown that it lives; None while that is no reason to worry
    dry_run:  whether it never writes
    is_idle:  whether it looks at nothing, since another replica is to lead
    leader:   who leads, where there is an election; None where nobody does, or nobody is asked
    election: how it takes part, in words; None where there is no election
    """

    version: str
    refresh: int
    stale: timedelta
    began: datetime
    swept: datetime | None = None
    silence: timedelta | None = None
    dry_run: bool = False
    is_idle: bool = False
    leader: str | None = None
    election: str | None = None


def notices(about: About) -> Iterator[str]:
    """What somebody should know before all else."""
    if about.dry_run:
        yield "Dry run: it never writes, whatever is due."
    if about.election is not None and not about.is_idle:  # otherwise the heading says so
        yield about.election


def faults(about: About, now: datetime) -> Iterator[str]:
    """What is wrong: whoever has gone blind must not tell that all is well."""
    if about.silence is not None:
        yield f"The scheduler has not shown that it lives for {told(about.silence)}: restart rotator."
    if about.is_idle:
        if about.leader is None:
            yield "Nobody leads: no keyset is looked at. Runbook: B2CRotatorNoLeader"
        return
    age = now - (about.swept or about.began)
    if age > about.stale:
        yield f"No sweep has ended for {told(age)}: what stands here is old. Runbook: B2CRotatorStalled"
