"""
The settings of calendars and holds, and their conversion to values of the core.

Names, units and defaults are part of the interface. Messages never repeat a value.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from rotator.core.calendar import DAY_SECONDS, Calendar, OnceFreeze, Window, YearlyFreeze
from rotator.core.hold import PolicyHold
from rotator.edges.setting_types import Section

CALENDAR_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
MIN_WINDOW_SECONDS = 3600  # B2C's caches spread a switch over up to 30 minutes
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"
_DATES = r"^[0-9]{1,2}(-[0-9]{1,2})?$"
_MONTH_DAY = r"^[0-9]{2}-[0-9]{2}$"
_LEAP_YEAR = 2000  # has a 29th of February


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (LookupError, ValueError, OSError) as error:
        known = {name.lower(): name for name in available_timezones()}
        close = difflib.get_close_matches(value.lower(), known, 1)
        hint = f"; did you mean {known[close[0]]}?" if close else ""
        message = f"must be the name of a time zone, such as Europe/Berlin{hint}"
        raise PydanticCustomError("time_zone", "{message}", {"message": message}) from error
    return value


def _time(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(_TIME, value):
        return value
    raise PydanticCustomError("time", 'must be a time of day from "00:00" to "24:00", in quotes')


def _dates(value: object) -> object:
    text = str(value)
    if not isinstance(value, bool) and re.fullmatch(_DATES, text):
        first, _, last = text.partition("-")
        if 1 <= int(first) <= int(last or first) <= 31:
            return text
    raise PydanticCustomError("dates", "must be days of a month, such as 1-7 or 15")


def _day(value: object) -> object:
    if type(value) is date:
        return value
    if isinstance(value, str):
        year = f"{_LEAP_YEAR}-" if re.fullmatch(_MONTH_DAY, value) else ""
        try:
            day = date.fromisoformat(year + value)
        except ValueError:
            pass
        else:
            return value if year else day
    raise PydanticCustomError("day", "must be a day, such as 12-31 (every year) or 2027-03-19 (once)")


TimeZone = Annotated[str, AfterValidator(_time_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})]
TimeOfDay = Annotated[str, BeforeValidator(_time), WithJsonSchema({"type": "string", "pattern": _TIME})]
Dates = Annotated[
    str,
    BeforeValidator(_dates),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": _DATES}, {"type": "integer", "minimum": 1, "maximum": 31}]}
    ),
]
Day = Annotated[
    str | date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$", "examples": ["12-31"]}),
]


class WindowSettings(Section):
    """A span of the wall clock in which keys may take over; `to` not later than `from` is on the next day."""

    days: tuple[Weekday, ...] = Field(
        default=DAYS, min_length=1, description="weekdays on which it opens; not given: all"
    )
    dates: Dates = Field(default="1-31", description="days of the month on which it opens, such as 1-7")
    opens: TimeOfDay = Field(default="00:00", alias="from", description="local time at which it opens")
    closes: TimeOfDay = Field(default="24:00", alias="to", description="local time at which it closes; 24:00: midnight")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.opens in (self.closes, "24:00"):
            raise PydanticCustomError("window", "from must differ from to, and must not be 24:00")
        return self

    def window(self) -> Window:
        """The window as a value of the core."""
        first, _, last = self.dates.partition("-")
        return Window(
            days=frozenset(map(DAYS.index, self.days)),
            dates=(int(first), int(last or first)),
            opens=_seconds(self.opens),
            closes=_seconds(self.closes),
        )


class FreezeSettings(Section):
    """Whole local days on which no key takes over, both ends included."""

    first: Day = Field(alias="from", description="12-01: every year; 2027-03-15: once")
    last: Day = Field(alias="to", description="the last day, in the same form as from")
    reason: str = ""

    @model_validator(mode="after")
    def _matches(self) -> Self:
        if isinstance(self.first, date) != isinstance(self.last, date):
            raise PydanticCustomError("freeze", "from and to must both have a year, or neither of them")
        if isinstance(self.first, date) and isinstance(self.last, date) and self.last < self.first:
            raise PydanticCustomError("freeze", "to must not be before from")
        return self

    def freeze(self) -> YearlyFreeze | OnceFreeze:
        """The freeze as a value of the core."""
        if isinstance(self.first, date) and isinstance(self.last, date):
            return OnceFreeze(first=self.first, last=self.last, reason=self.reason)
        first, last = (_month_day(str(day)) for day in (self.first, self.last))
        return YearlyFreeze(first=first, last=last, reason=self.reason)


class CalendarSettings(Section):
    """When keys may take over."""

    time_zone: TimeZone = Field(description="the time zone of all days and times, such as Europe/Berlin")
    allow: tuple[WindowSettings, ...] = Field(default=(), description="it is open in any of them; none: always")
    freeze: tuple[FreezeSettings, ...] = Field(default=(), description="it is closed in all of them")

    def calendar(self, name: str) -> Calendar:
        """The calendar as a value of the core."""
        return Calendar(
            name=name,
            zone=ZoneInfo(self.time_zone),
            zone_name=self.time_zone,
            windows=tuple(each.window() for each in self.allow),
            freezes=tuple(each.freeze() for each in self.freeze),
        )


class HoldSettings(Section):
    """Nothing is generated until the end of a day."""

    until: date = Field(description="the last day of the hold, in UTC")
    by: str = Field(default="", description="who wants it")
    reason: str = Field(default="", description="why, such as the number of a change")

    def hold(self) -> PolicyHold:
        """The hold as a value of the core."""
        return PolicyHold(until=self.until, by=self.by, reason=self.reason)


def build_calendars(settings: Mapping[str, CalendarSettings]) -> dict[str, Calendar]:
    """The calendars by their names."""
    return {name: each.calendar(name) for name, each in settings.items()}


def advice_on_calendars(settings: Mapping[str, CalendarSettings]) -> Iterator[tuple[str, str]]:
    """The path and the text of each warning about a calendar."""
    for name, calendar in settings.items():
        for number, each in enumerate(calendar.allow):
            if each.window().length.total_seconds() < MIN_WINDOW_SECONDS:
                yield (
                    f"calendars.{name}.allow[{number}]",
                    "is shorter than 1h; the caches of B2C spread a switch over up to 30m, so open it for longer",
                )


def advice_on_hold(path: str, hold: HoldSettings | None, now: datetime) -> Iterator[tuple[str, str]]:
    """The path and the text of the warning about a hold that has ended."""
    if hold is not None and not hold.hold().lasts(now):
        yield f"{path}.hold", "ended in the past; remove it"


def _seconds(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return min(int(hours) * 3600 + int(minutes) * 60, DAY_SECONDS)


def _month_day(text: str) -> tuple[int, int]:
    month, _, day = text.partition("-")
    return int(month), int(day)
