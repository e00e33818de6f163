"""The effect of a configuration's calendars on its keysets, as lines for people."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from rotator.core.calendar import Calendar
from rotator.core.calendar_proof import (
    Stretch,
    activations,
    better_rotate_every,
    longest_closed,
    mean_period,
)
from rotator.core.policy import RotationPolicy
from rotator.core.text import format_span
from rotator.views.phrases import count, is_open_now


def calendar_report(calendars: Iterable[Calendar], policies: Iterable[RotationPolicy], now: datetime) -> Iterator[str]:
    """
    A line for each calendar, and one below it for each `rotate_every` that is used with it.

    policies: of all keysets
    """
    used = Counter(replace(policy, keyset_id="", hold=None) for policy in policies)
    for calendar in calendars:
        longest = longest_closed(calendar, now)
        stretch = f"closed for {longest.describe(calendar)} at the longest" if longest else "never closed"
        yield f"calendar {calendar.name} ({calendar.zone_name}): {is_open_now(calendar, now)}; {stretch}"
        for policy, keysets in used.items():
            if policy.calendar == calendar:
                yield f"  {_effect(policy, longest, keysets, now)}"


def _effect(policy: RotationPolicy, longest: Stretch | None, keysets: int, now: datetime) -> str:
    pulled, plain = (activations(calendar, policy.rotate_every, now) for calendar in (policy.calendar, None))
    text = (
        f"rotate_every {format_span(policy.rotate_every)} ({policy.use}, {count(keysets)}): "
        f"{len(pulled) - 1} keys in ten years, {len(plain) - 1} without the calendar"
    )
    if len(pulled) > 1:
        text += f"; every {format_span(mean_period(pulled))} on average"
    better = better_rotate_every(policy, longest, now)
    if better is not None:
        fewer = len(activations(policy.calendar, better, now)) - 1
        text += f"; rotate_every {format_span(better)} makes {fewer}"
    return text
