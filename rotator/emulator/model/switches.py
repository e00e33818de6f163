"""
What is not known about the service: each unknown is a switch.

A default is what the service is documented to do, else what public clients saw it
do, else the likelier of two guesses. Switches are one frozen value per tenant;
changing one replaces the value, so a request sees either all of the old or all of
the new.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from rotator.emulator.validation import LAX, STRICT, Count, InvalidError, Span, one_of, raises


class SwitchError(InvalidError):
    """A switch that does not exist, or a value it cannot take."""


class Status(StrEnum):
    """`trustFrameworkKeyStatus`; a key may also have none (null)."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class TieBreak(StrEnum):
    """Which of several keys with one activation instant is active."""

    NEWEST = "newest"
    OLDEST = "oldest"


class ReadPath(StrEnum):
    """What a read sees while a write is younger than `read_after_write_delay`."""

    STALE = "stale"
    FLAPPING = "flapping"  # one node knows already, the next does not


@raises(SwitchError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Switches:
    """
    How one tenant answers where the real service is unknown. Spans are seconds.

    missing_keyset_status, missing_keyset_code
        A keyset that is not there: 400 or 404. Clients in the field test for 400 and
        for the code.
    existing_keyset_status
        Creating a keyset that exists: 400 or 409, with `AADB2C95028`.
    missing_key_status
        A kid that is not there, under `keys_v2`.
    no_active_key_status
        `getActiveKey` where nothing is valid: 400, 404, or 204 without a body.
    concurrent_write_status
        Parallel writes to one keyset, with `AADB2C95053`.
    generated_status, uploaded_status
        Status of new keys. Documented: an uploaded key waits for an admin to enable
        it. Observed: generated keys are used at once.
    status_shown
        False leaves the `status` member out of every answer.
    minimum_nbf_lead, minimum_nbf_lead_code
        How far ahead an nbf must lie; 0 is no rule. One tool's author met 3 hours.
    exp_before_nbf_refused, past_exp_refused
        Rules about dates that no page mentions.
    nulls_refused
        A null in a request body is refused.
    string_dates
        nbf and exp travel as strings, as one documented example shows.
    single_key_wrapped
        A single key comes inside `{"value": ...}`, as the same example shows.
    trailing_comma
        The answer of `generateKey` is invalid JSON, as its published example is.
    update_answers_key
        PATCH of a key answers 200 with the key; else 204. The page says both.
    page_size
        Keysets per page, then `@odata.nextLink`; null is all on one page.
    inner_error_member
        `innerError` as in samples, or `innererror` as in the specification.
    unprefixed_ids_resolve
        `/keySets/name` finds `B2C_1A_name`. Weakly observed; nobody should rely on it.
    ids_ignore_case
        Keyset ids are compared without case.
    tie_break
        Among keys with one nbf, and among several without.
    read_after_write_delay, read_path
        A write shows in reads only so much later; `flapping`: every other read shows it.
    write_duration
        How long a write takes, in real seconds; another write to the same keyset
        meanwhile is refused with `AADB2C95053`.
    throttle_per_app, throttle_per_tenant, throttle_window
        Documented: 200 requests a minute per app and tenant, 300 per tenant; 0 is no limit.
    throttle_retry_after
        Whether a throttled answer carries `Retry-After`.
    token_lifetime, token_refresh_in
        `expires_in` and, where given, `refresh_in` of access tokens.
    jwks_future, jwks_expired, jwks_disabled
        Which keys are published beside the valid ones.
    jwks_exp_member
        Whether a published key carries `exp`.
    jwks_delay
        How old the published keys are: the runtime's cache.
    """

    missing_keyset_status: Annotated[int, one_of(400, 404)] = 400
    missing_keyset_code: str = "AADB2C90073"
    existing_keyset_status: Annotated[int, one_of(400, 409)] = 400
    missing_key_status: Annotated[int, one_of(400, 404)] = 404
    no_active_key_status: Annotated[int, one_of(204, 400, 404)] = 400
    concurrent_write_status: Annotated[int, one_of(400, 409, 412, 423)] = 409
    generated_status: Annotated[Status, LAX] | None = Status.ENABLED
    uploaded_status: Annotated[Status, LAX] | None = Status.DISABLED
    status_shown: bool = True
    minimum_nbf_lead: Count = 0
    minimum_nbf_lead_code: str = "AADB2C90136"
    exp_before_nbf_refused: bool = False
    past_exp_refused: bool = False
    nulls_refused: bool = True
    string_dates: bool = False
    single_key_wrapped: bool = False
    trailing_comma: bool = False
    update_answers_key: bool = False
    page_size: Annotated[int, Field(ge=1)] | None = None
    inner_error_member: Annotated[str, one_of("innerError", "innererror")] = "innerError"
    unprefixed_ids_resolve: bool = False
    ids_ignore_case: bool = False
    tie_break: Annotated[TieBreak, LAX] = TieBreak.NEWEST
    read_after_write_delay: Span = 0
    read_path: Annotated[ReadPath, LAX] = ReadPath.STALE
    write_duration: Span = 0
    throttle_per_app: Count = 200
    throttle_per_tenant: Count = 300
    throttle_window: Span = 60
    throttle_retry_after: bool = True
    token_lifetime: Count = 3599
    token_refresh_in: int | None = None
    jwks_future: bool = True
    jwks_expired: bool = False
    jwks_disabled: bool = False
    jwks_exp_member: bool = False
    jwks_delay: Span = 0
