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
    FLAPPING = "flapping"  # every other read sees the write


@raises(SwitchError)
@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Switches:
    """How one tenant answers where the real service is unknown. Spans are seconds."""

    # A keyset that is not there; public clients test for 400 and for the code.
    missing_keyset_status: Annotated[int, one_of(400, 404)] = 400
    missing_keyset_code: str = "AADB2C90073"
    existing_keyset_status: Annotated[int, one_of(400, 409)] = 400  # Creating a keyset that exists (AADB2C95028).
    missing_key_status: Annotated[int, one_of(400, 404)] = 404  # A kid that is not there, under `keys_v2`.
    # `getActiveKey` if no key is valid; 204 has no body.
    no_active_key_status: Annotated[int, one_of(204, 400, 404)] = 400
    # Parallel writes to one keyset (AADB2C95053).
    concurrent_write_status: Annotated[int, one_of(400, 409, 412, 423)] = 409
    # Status of new keys. Documented: an admin has to enable an uploaded key. Observed: generated keys are used at once.
    generated_status: Annotated[Status, LAX] | None = Status.ENABLED
    uploaded_status: Annotated[Status, LAX] | None = Status.DISABLED
    status_shown: bool = True  # False leaves the `status` member out of every answer.
    # How far ahead an nbf must lie; 0 is no rule. The author of one tool met 3 hours.
    minimum_nbf_lead: Count = 0
    minimum_nbf_lead_code: str = "AADB2C90136"
    # Rules about dates that are not documented.
    exp_before_nbf_refused: bool = False
    past_exp_refused: bool = False
    nulls_refused: bool = True  # A null in a request body is refused.
    # nbf and exp travel as strings, and a single key comes inside `{"value": ...}`, as a documented example shows.
    string_dates: bool = False
    single_key_wrapped: bool = False
    trailing_comma: bool = False  # The answer of `generateKey` is invalid JSON, as its published example is.
    update_answers_key: bool = False  # PATCH of a key answers 200 with the key; else 204. The page says both.
    # Keysets per page, then `@odata.nextLink`; null is all on one page.
    page_size: Annotated[int, Field(ge=1)] | None = None
    # `innerError` as in samples, or `innererror` as in the specification.
    inner_error_member: Annotated[str, one_of("innerError", "innererror")] = "innerError"
    # `/keySets/name` finds `B2C_1A_name` (weakly observed); ids are compared without case.
    unprefixed_ids_resolve: bool = False
    ids_ignore_case: bool = False
    tie_break: Annotated[TieBreak, LAX] = TieBreak.NEWEST  # Among keys with one nbf, and among several without.
    # A write shows in reads only so much later.
    read_after_write_delay: Span = 0
    read_path: Annotated[ReadPath, LAX] = ReadPath.STALE
    # How long a write takes, in real seconds; meanwhile another to the same keyset is refused.
    write_duration: Span = 0
    # Documented: 200 requests a minute per app and tenant, 300 per tenant; 0 is no limit.
    throttle_per_app: Count = 200
    throttle_per_tenant: Count = 300
    throttle_window: Span = 60
    throttle_retry_after: bool = True  # Whether a throttled answer carries `Retry-After`.
    # `expires_in` and, where given, `refresh_in` of access tokens.
    token_lifetime: Count = 3599
    token_refresh_in: int | None = None
    # Which keys are published beside the valid ones, and whether with `exp`.
    jwks_future: bool = True
    jwks_expired: bool = False
    jwks_disabled: bool = False
    jwks_exp_member: bool = False
    jwks_delay: Span = 0  # How old the published keys are: the cache of the sign-in service.
    jwks_flapping: bool = False  # Only every other answer is that old: nodes with caches of different age.
    signing_delay: Span = 0  # How much later than its nbf a policy begins to sign with a key.
    policy_token_lifetime: Count = 3600  # `expires_in` of the tokens of a policy.
    active_key_without_kid: bool = False  # `getActiveKey` answers with a key that has no kid.
