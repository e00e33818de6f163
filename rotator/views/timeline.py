"""
The timeline of a keyset: keys, planned keys, bands and the ticks of the axis.

    key A      |=================----|            = active, - valid
    key B            |::::::::::::|=================----|
    planned                               |:::|=========...

The status page draws it as SVG, the terminal as text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from rotator.core.assessment import Plan
from rotator.core.forecast import MAX_ROTATIONS, Span, active_spans, forecast
from rotator.core.keyset import Key, Keyset, KeyState
from rotator.core.policy import RotationPolicy
from rotator.core.publication import Evidence
from rotator.core.rotation import decide

MAX_AHEAD = timedelta(days=365)
MAX_BARS = 40  # of keys that exist; the oldest are left out
MAX_TICKS = 5  # there is no room for more on a phone

_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)  # ticks of a week and of two weeks are on Mondays
_DAY = timedelta(days=1)
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_STEPS = (*(timedelta(seconds=seconds) for seconds in _SECONDS), _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY)
_MONTHS = (1, 2, 3, 4, 6, 12)


class Band(StrEnum):
    """A named span of time; the values are the labels that users see."""

    OVERLAP = "overlap"
    WINDOW = "renewal window"
    LEAD = "publication lead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """
    One key. Its instants may lie outside the timeline.

    state:     None for a key that is only planned
    active:    the spans in which B2C uses it
    published: when the probes first saw it published; None if that is unknown
    """

    key: Key
    state: KeyState | None
    active: tuple[Span, ...]
    published: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """
    The content of a timeline from *start* to *end*.

    plan:     of the next key
    overlaps: the spans in which a key is still valid and its successor is active
    gaps:     the spans without an active key that end after now
    left_out: how many keys are not shown
    """

    start: datetime
    end: datetime
    now: datetime
    bars: tuple[Bar, ...]
    plan: Plan
    overlaps: tuple[Span, ...]
    gaps: tuple[Span, ...]
    left_out: int

    def position(self, instant: datetime) -> float:
        """The position of *instant* between the start (0) and the end (1); the nearer of these if it is outside."""
        clipped = min(max(instant, self.start), self.end)
        return (clipped - self.start) / (self.end - self.start)

    def bands(self) -> Iterator[tuple[Band, Span]]:
        """The bands in the order in which they are drawn, a later one over an earlier one."""
        yield from ((Band.OVERLAP, span) for span in self.overlaps)
        if has_window(self.plan):
            yield Band.WINDOW, (self.plan.renewal_due, self.plan.publish_by)
            yield Band.LEAD, (self.plan.publish_by, self.plan.activation)

    def rows(self) -> list[list[Bar]]:
        """The bars from top to bottom: a row for each key, and as few rows as possible for the planned keys."""
        own: list[list[Bar]] = []
        shared: list[list[Bar]] = []
        for bar in self.bars:
            if bar.state is not None:
                own.append([bar])
                continue
            free = next((row for row in shared if row[-1].key.expires <= bar.key.activates), None)
            if free is None:
                shared.append([bar])
            else:
                free.append(bar)
        return own + shared

    def left_out_note(self) -> str:
        """The note about keys that are not shown; empty if there are none."""
        return f"{self.left_out} older keys are not shown" if self.left_out else ""


def has_window(plan: Plan) -> bool:
    """
    True if the next key follows another one.

    Otherwise it is due at once: all instants of the plan are equal, and there are no bands to show.
    """
    return plan.renewal_due < plan.publish_by


def draw(
    policy: RotationPolicy,
    keyset: Keyset,
    now: datetime,
    *,
    is_written: bool = True,
    evidence: Evidence | None = None,
) -> Timeline:
    """
    The timeline of *keyset*: ahead at most a year or `MAX_ROTATIONS` rotations, and back a sixth of that.

    is_written: keys that are due will be generated; otherwise no planned keys are shown
    evidence:   of the probes of the tenant; None if there was none
    """
    ahead = min(MAX_AHEAD, policy.rotate_every * MAX_ROTATIONS)
    start, end = now - ahead / 6, now + ahead
    shown = [key for key in keyset.keys if key.activates < end and key.expires > start]
    shown.sort(key=lambda key: key.activates)
    kept = shown[-MAX_BARS:]
    forecasts = forecast(policy, keyset, now, end) if is_written else ()
    planned = [key for key in forecasts if key.activates < end]
    spans = active_spans(Keyset(id=keyset.id, keys=(*kept, *planned)), start, end)
    states = {id(key): state for key, state in keyset.states(now)}
    bars = [
        Bar(key=key, state=states[id(key)], active=_joined(spans, key), published=_published(keyset, key, evidence))
        for key in kept
    ]
    bars += [Bar(key=key, state=None, active=_joined(spans, key)) for key in planned]
    return Timeline(
        start=start,
        end=end,
        now=now,
        bars=tuple(bars),
        plan=decide(policy, keyset, now).assessment.plan,
        overlaps=tuple(_overlaps(spans)),
        gaps=tuple(_gaps(spans, now, end)),
        left_out=len(shown) - len(kept),
    )


def _published(keyset: Keyset, key: Key, evidence: Evidence | None) -> datetime | None:
    """When *key* was first seen published; None if the first probe saw it, which does not show since when it was."""
    since = None if evidence is None else evidence.published_since(keyset.id, key)
    return since if evidence is not None and since != evidence.since else None


def soonest(timeline: Timeline) -> datetime:
    """The next instant after now at which something changes; the end if nothing does."""
    plan = timeline.plan
    changes = [*(date for bar in timeline.bars for date in (bar.key.activates, bar.key.expires)), *plan_instants(plan)]
    changes += [date for gap in timeline.gaps for date in gap]
    return min((date for date in changes if date > timeline.now), default=timeline.end)


def plan_instants(plan: Plan) -> tuple[datetime, ...]:
    """The instants of *plan* in their order."""
    return plan.renewal_due, plan.publish_by, plan.activation


def ticks(start: datetime, end: datetime, limit: int = MAX_TICKS) -> Iterator[tuple[datetime, str]]:
    """
    The ticks from *start* to *end*, each with its text: about *limit* of them, which is at least 4.

    A tick is at the begin of a month, a day or an hour, so that its text is exact.
    """
    span = end - start
    step = next((step for step in _STEPS if span / step <= limit), None)
    if step is None:
        months = next((months for months in _MONTHS if span / (months * 30 * _DAY) <= limit), _MONTHS[-1])
        yield from ((instant, f"{instant:%b %Y}") for instant in _months(start, end, months))
        return
    form = "%d %b" if step >= _DAY else "%H:%M:%S" if step < timedelta(minutes=1) else "%H:%M"
    if step < _DAY < span:
        form = "%d. %H:%M"
    instant = start + -(start - _MONDAY) % step
    while instant < end:
        yield instant, f"{instant:{form}}"
        instant += step


def _months(start: datetime, end: datetime, step: int) -> Iterator[datetime]:
    """The first day of every *step* months, counted from January."""
    month = -(-(start.year * 12 + start.month - 1) // step) * step
    while (instant := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) < end:
        if instant >= start:
            yield instant
        month += step


def _joined(spans: Sequence[tuple[Key, Span]], key: Key) -> tuple[Span, ...]:
    """The spans of *key*; spans that touch are merged."""
    joined: list[Span] = []
    for active, (begin, finish) in spans:
        if active is not key:
            continue
        if joined and joined[-1][1] == begin:
            begin = joined.pop()[0]  # noqa: PLW2901 - two spans that touch are one
        joined.append((begin, finish))
    return tuple(joined)


def _overlaps(spans: Sequence[tuple[Key, Span]]) -> Iterator[Span]:
    for (before, _), (after, (begin, _)) in pairwise(spans):
        if after is not before and before.is_dated and before.expires > begin:
            yield begin, before.expires


def _gaps(spans: Sequence[tuple[Key, Span]], now: datetime, end: datetime) -> Iterator[Span]:
    """The gaps: from the end of each cover, or from now if there was none, to the next active key."""
    done: datetime | None = None
    for _, (begin, finish) in spans:
        if done is None and begin > now:
            yield now, begin
        elif done is not None and done < begin and begin > now:
            yield done, begin
        done = finish
    if done is None:
        yield now, end
    elif done < end:
        yield done, end
