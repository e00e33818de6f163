"""
Two scales for one timeline: the near future is drawn larger than the rest.

    |  past  |now      near       |          far            |
    0        10                   50                       100

Where a key ends in twelve hours, a year ahead on one scale would show that as a hair's breadth.
How long the near part is follows from what comes next: that is at its middle, or before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from rotator.views.timeline import Timeline, soonest, ticks

PAST, NEAR = 10.0, 50.0  # percent of the width: where now is, and where the near part ends
MIN_NEAR, MAX_NEAR = 1 / 400, 4 / 9  # of the time ahead that the near part shows; at the latter the scales are the same
TICKS = 4  # of each of the two parts that are ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A tick at *place*, in percent of the width, whose text begins at *label*, or None if it has no room."""

    place: float
    text: str
    label: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where instants are, in percent of the width."""

    start: datetime
    now: datetime
    near: datetime
    end: datetime

    def place(self, instant: datetime) -> float:
        """The place of *instant*, or the nearer edge if it is outside."""
        parts = ((self.start, 0.0), (self.now, PAST), (self.near, NEAR), (self.end, 100.0))
        clipped = min(max(instant, self.start), self.end)
        for (begin, low), (finish, high) in pairwise(parts):
            if clipped <= finish:
                return low + (high - low) * ((clipped - begin) / (finish - begin))
        return 100.0

    @property
    def is_even(self) -> bool:
        """Whether the near part is drawn no larger than the rest."""
        return (self.near - self.now) >= MAX_NEAR * (self.end - self.now)

    def _parts(self) -> tuple[tuple[datetime, datetime], ...]:
        if self.is_even:
            return ((self.now, self.end),)
        return (self.now, self.near), (self.near, self.end)

    def ticks(self, room: float) -> list[Tick]:
        """
        The ticks of both parts ahead, whose texts do not meet: the last one has its text in any case.

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
    """Where a text of *room* has room: behind its tick, or before it."""
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
