"""
The scale of a timeline, with two parts: the near future is drawn larger than the rest.

    |  past  |now      near       |          far            |
    0        10                   50                       100

With a single scale for a year, a key that expires in twelve hours would be too small to see. The length
of the near part depends on the next event, which is at its middle or before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from rotator.views.timeline import Timeline, soonest, ticks

PAST, NEAR = 10.0, 50.0  # percent of the width: where now is, and where the near part ends
MIN_NEAR, MAX_NEAR = 1 / 400, 4 / 9  # share of the time ahead in the near part; at 4 / 9 both scales are equal
TICKS = 4  # in each of the two parts after now


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A tick at *place*, in percent of the width; its text begins at *label*, None if there is no room for it."""

    place: float
    text: str
    label: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps instants to places, in percent of the width."""

    start: datetime
    now: datetime
    near: datetime
    end: datetime

    def place(self, instant: datetime) -> float:
        """The place of *instant*; the nearer edge if it is outside."""
        parts = ((self.start, 0.0), (self.now, PAST), (self.near, NEAR), (self.end, 100.0))
        clipped = min(max(instant, self.start), self.end)
        for (begin, low), (finish, high) in pairwise(parts):
            if clipped <= finish:
                return low + (high - low) * ((clipped - begin) / (finish - begin))
        return 100.0

    @property
    def is_even(self) -> bool:
        """True if the near part has the same scale as the rest."""
        return (self.near - self.now) >= MAX_NEAR * (self.end - self.now)

    def _parts(self) -> tuple[tuple[datetime, datetime], ...]:
        if self.is_even:
            return ((self.now, self.end),)
        return (self.now, self.near), (self.near, self.end)

    def ticks(self, room: float) -> list[Tick]:
        """
        The ticks of both parts after now, with texts that do not overlap; the last one always has a text.

        room: percent of the width that a text needs
        """
        found = [
            (self.place(instant), text) for begin, end in self._parts() for instant, text in ticks(begin, end, TICKS)
        ]
        taken: list[tuple[float, float]] = []
        labels: dict[float, float | None] = {}
        for place, _ in sorted(found, key=lambda tick: (tick is not found[-1], tick)):
            labels[place] = next(_free(place, room, taken), None)
            if (begin := labels[place]) is not None:
                taken.append((begin, begin + room))
        return [Tick(place=place, text=text, label=labels[place]) for place, text in found]


def _free(place: float, room: float, taken: list[tuple[float, float]]) -> Iterator[float]:
    """The free places for a text of *room*: after its tick, or before it."""
    for begin in (place, place - room):
        is_free = all(begin >= finish or begin + room <= start for start, finish in taken)
        if is_free and begin >= PAST / 2 and begin + room <= 100:
            yield begin


def scale(timeline: Timeline) -> Scale:
    """The scale of *timeline*."""
    ahead = timeline.end - timeline.now
    near = 2 * (soonest(timeline) - timeline.now)
    near = min(max(near, MIN_NEAR * ahead), MAX_NEAR * ahead)
    return Scale(start=timeline.start, now=timeline.now, near=timeline.now + near, end=timeline.end)
