"""
The rotation policy of a keyset, and the key that is requested.

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
The lead that another tool gives every key, because the service refused shorter ones.

Source: mrochon/IEFPolicies, issue 63. Microsoft does not document it; rotator uses it only after a refusal.
"""


class Mode(StrEnum):
    """What may be done to a keyset."""

    ROTATE = "rotate"
    OBSERVE = "observe"  # look, measure and alert, but never write


class PolicyError(ValueError):
    """A rotation policy is invalid; the message names the settings that conflict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationPolicy:
    """
    How one keyset is rotated. Spans are whole seconds.

    rotate_every:      how long a key is the active one
    overlap:           how long its predecessor stays valid after that
    publication_lead:  from generation to activation
    renewal_window:    from the instant at which the key is due to the last one that keeps the full lead
    minimum_lead:      the shortest lead that the service accepts; only used for a late key
    expires:           an expiry that the keyset does not show, such as that of an identity provider's secret
    calendar:          when a key may take over; None: at any time
    hold:              until when nothing is generated; None: no hold
    create:            create the keyset if the tenant never had it
    replace_since:     when a person requested a rotation ahead of time: the key that was in use then is
        replaced as soon as the lead allows; None if there was no such request

    Raises:
        PolicyError: the spans conflict, or a generated key
            would be of no use.

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
    create: bool = False
    replace_since: datetime | None = None

    def __post_init__(self) -> None:
        """Check the policy; see Raises above."""
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
        if self.create and self.mode is Mode.OBSERVE:
            msg = "create: true needs mode: rotate, since mode: observe never writes; remove create or set mode: rotate"
            raise PolicyError(msg)
        unreadable = self.kty.lower() == "oct" and not self.accept_unreadable_secret
        if unreadable and self.mode is Mode.ROTATE:
            msg = (
                "kty: oct with mode: rotate would generate a secret that cannot be read, so other parties that "
                "share it would be locked out; use mode: observe, or set accept_unreadable_secret: true"
            )
            raise PolicyError(msg)

    def matches_shape(self, key: Key) -> bool:
        """True if *key* has the use and the validity of a key of this policy, no matter who generated it."""
        dated = key.nbf is not None and key.exp is not None and key.exp - key.nbf == self.validity
        return dated and key.use == self.use

    def misses_window(self, activation: datetime) -> bool:
        """True if the calendar is closed at *activation*."""
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
        """How long before its activation a key is due."""
        return self.publication_lead + self.renewal_window

    @property
    def validity(self) -> timedelta:
        """How long a generated key is valid: from its nbf to its exp."""
        return self.rotate_every + self.overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """The key to request: the four members of the body of `generateKey`."""

    use: str
    kty: str
    nbf: datetime
    exp: datetime

    def differences(self, key: Key) -> tuple[str, ...]:
        """Each member in which *key* differs from this one, such as `use is enc, not sig`."""
        pairs = (
            ("use", self.use, key.use),
            ("kty", self.kty.lower(), key.kty and key.kty.lower()),
            ("nbf", self.nbf, key.nbf),
            ("exp", self.exp, key.exp),
        )
        return tuple(f"{name} is {_show(got)}, not {_show(asked)}" for name, asked, got in pairs if got != asked)


def _show(value: object) -> str:
    return format_instant(value) if isinstance(value, datetime) else str(value)
