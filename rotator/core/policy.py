"""
What we want of a keyset, and the key that is asked for.

    renewal_due     publish_by       activation        expiry of
         |              |            of the new        the old
         |<------------>|<-------------->|<-------------->|
         renewal_window  publication_lead      overlap
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.core.calendar import LAST_ASKED, Calendar
from rotator.core.hold import PolicyHold
from rotator.core.keyset import NEVER, Key
from rotator.core.text import format_instant, format_span

ZERO = timedelta()

MAX_REQUEST_TIME = timedelta(hours=1)
"""The time that a rotation ahead of time has for its two looks and its request, beside the lead."""

KNOWN_MINIMUM_LEAD = timedelta(hours=3, minutes=2)
"""
What a tool in the field gives every key, since the service was seen to refuse sooner ones.

Source: mrochon/IEFPolicies, issue 63. Not documented; asked for only after a refusal.
"""


class Mode(StrEnum):
    """What may be done to a keyset."""

    ROTATE = "rotate"
    OBSERVE = "observe"  # look, measure and alert, but never write


class PolicyError(ValueError):
    """A rotation policy that is invalid; the message says which numbers collide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationPolicy:
    """
    What we want of one keyset. Spans are whole seconds.

    rotate_every:      how long a key is the active one
    overlap:           how long its predecessor stays valid after that
    publication_lead:  from generation to activation
    renewal_window:    the time there is to get a key made before the lead would suffer
    minimum_lead:      the least lead that the service takes; only matters when late
    expires:           an end that the keyset does not show, such as that of an identity provider's secret
    calendar:          when a key may take over; None: at any time
    hold:              until when nothing is generated; None: no hold
    replace_since:     when somebody asked for a rotation ahead of time: the key that was in use before is
        replaced as soon as the lead allows; None: nobody has asked

    Raises:
        PolicyError: the spans leave no room for each other, or a generated key
            could not serve its purpose.

    """

    keyset_id: str
    use: str
    kty: str
    mode: Mode
    rotate_every: timedelta
    overlap: timedelta
    publication_lead: timedelta
    renewal_window: timedelta
    minimum_lead: timedelta = ZERO
    accept_unreadable_secret: bool = False
    expires: datetime | None = None
    calendar: Calendar | None = None
    hold: PolicyHold | None = None
    replace_since: datetime | None = None

    def __post_init__(self) -> None:
        """Check that a keyset can be rotated like this."""
        for name in ("rotate_every", "overlap", "publication_lead", "renewal_window"):
            if getattr(self, name) <= ZERO:
                msg = f"{name} must be longer than 0s"
                raise PolicyError(msg)
        if self.minimum_lead < ZERO:
            msg = "minimum_lead must not be negative"
            raise PolicyError(msg)
        if self.ahead >= self.rotate_every:
            msg = (
                f"publication_lead ({format_span(self.publication_lead)}) + "
                f"renewal_window ({format_span(self.renewal_window)}) must be shorter than "
                f"rotate_every ({format_span(self.rotate_every)}); they are too long by "
                f"{format_span(self.ahead - self.rotate_every + timedelta(seconds=1))}"
            )
            raise PolicyError(msg)
        if self.minimum_lead > self.publication_lead:
            msg = (
                f"minimum_lead ({format_span(self.minimum_lead)}) must not be longer than "
                f"publication_lead ({format_span(self.publication_lead)}); it is too long by "
                f"{format_span(self.minimum_lead - self.publication_lead)}"
            )
            raise PolicyError(msg)
        unreadable = self.kty.lower() == "oct" and not self.accept_unreadable_secret
        if unreadable and self.mode is Mode.ROTATE:
            msg = (
                "kty: oct with mode: rotate would generate a secret that nobody can ever read, so whoever "
                "shares it is cut off; use mode: observe, or set accept_unreadable_secret: true"
            )
            raise PolicyError(msg)

    def matches_shape(self, key: Key) -> bool:
        """Whether *key* is one as this policy would ask for, whoever did."""
        dated = key.nbf is not None and key.exp is not None and key.exp - key.nbf == self.validity
        return dated and key.use == self.use

    def misses_window(self, activation: datetime) -> bool:
        """Whether a key that takes over at *activation* does so while the calendar is closed."""
        return self.calendar is not None and activation <= LAST_ASKED and not self.calendar.is_open(activation)

    def replaced_at(self, key: Key) -> datetime:
        """
        When a rotation that somebody asked for ahead of time lets the successor of *key* take over.

        `NEVER` where nobody has asked, or the key was not in use before: what takes over from it is the usual
        plan. Beside the lead there is `MAX_REQUEST_TIME`, so that a request which is tried again keeps the lead.
        """
        if self.replace_since is None or key.activates >= self.replace_since:
            return NEVER
        return self.replace_since + self.publication_lead + min(self.renewal_window, MAX_REQUEST_TIME)

    @property
    def ahead(self) -> timedelta:
        """How long before its activation a key may be generated."""
        return self.publication_lead + self.renewal_window

    @property
    def validity(self) -> timedelta:
        """How long a key that we ask for is valid."""
        return self.rotate_every + self.overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """The key to ask for: exactly the four members of `generateKey`."""

    use: str
    kty: str
    nbf: datetime
    exp: datetime

    def differences(self, key: Key) -> tuple[str, ...]:
        """The members in which *key* is not the one asked for, in the words of the interface."""
        pairs = (
            ("use", self.use, key.use),
            ("kty", self.kty.lower(), key.kty and key.kty.lower()),
            ("nbf", self.nbf, key.nbf),
            ("exp", self.exp, key.exp),
        )
        return tuple(f"{name} is {_show(got)}, not {_show(asked)}" for name, asked, got in pairs if got != asked)


def _show(value: object) -> str:
    return format_instant(value) if isinstance(value, datetime) else str(value)
