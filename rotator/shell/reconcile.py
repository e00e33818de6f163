"""
The shell: look, decide, look again, act, confirm.

    look ───▶ decide ─▶ Hold ─────────────────────────────────────────▶ Held
                 └────▶ Rotate ───────────────────────────────────────▶ Planned
                                    `settle` later, if it may write
    reconcile ─▶ fetch ─▶ decide ─▶ Hold ─────────────────────────────▶ Held
                             └─▶ Rotate ─▶ generate ─▶ fetch ─▶ seen? ▶ Rotated
                                               any error of ours ─────▶ Failed

A `look` only reads; a dry run is nothing but that. `reconcile` is the second
look, and the only place that writes. Since a key can't be taken back:

1. Nothing is asked for unless two looks, `settle` apart, both call for it: what a
   process wrote before it died, or what a node has not heard of yet, shows by then.
   That no key is valid must be the word of both.
2. A request that may have been carried out is never sent again. What it did is
   found out by looking; if that shows nothing, rule 1 begins anew.
3. A request that certainly did nothing is sent again only after looking and
   deciding anew.
4. Right before each request `may_write` is asked: it knows of reasons that lie
   outside of the decision.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import count
from typing import Protocol, TypeVar

from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Observation, Outcome, Planned
from rotator.core.policy import KNOWN_MINIMUM_LEAD, KeySpec, RotationPolicy
from rotator.core.reasons import Reason, Refusal, confirms
from rotator.core.retry import backoff, bounded
from rotator.core.rotation import Hold, Rotate, decide
from rotator.core.text import format_span
from rotator.shell.clock import Clock
from rotator.shell.confirm import Confirmation

MOST_TRIES = 4
LONGEST_PAUSE = 30.0  # seconds


class Keysets(Protocol):
    """The keysets of one tenant. Each method raises `RequestError`."""

    def list_keysets(self, wanted: Collection[str]) -> Mapping[str, Keyset | RequestError]:
        """The wanted keysets that the tenant has."""
        ...

    def fetch(self, keyset_id: str) -> Keyset:
        """One keyset as it is now."""
        ...

    def prepare(self) -> None:
        """Whatever takes time before a write, so that nothing does between `may_write` and its first byte."""
        ...

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        """Ask once for a key; its kid, where the service names it."""
        ...

    def enable(self, keyset_id: str, kid: str) -> None:
        """Enable one key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """
    One tenant: what is wanted of which keysets, where they are, and whether a key may be asked for now.

    place: tells two tenants apart that had the same name, one after the other
    """

    name: str
    place: str
    policies: tuple[RotationPolicy, ...]
    keysets: Keysets
    may_write: Callable[[Planned], Refusal | Failure | None]


T = TypeVar("T")


def look(tenant: Tenant, now: datetime) -> list[Outcome]:
    """The first look at every keyset of *tenant*: one request, nothing written."""
    observations = [Observation(tenant=tenant.name, policy=policy, now=now) for policy in tenant.policies]
    try:
        listed = tenant.keysets.list_keysets([policy.keyset_id for policy in tenant.policies])
    except Exception as error:  # noqa: BLE001 - one tenant's bug must not cost the others their keys
        return [_failed(observation, error) for observation in observations]
    return [_judge(observation, listed.get(observation.policy.keyset_id)) for observation in observations]


def reconcile(
    tenant: Tenant,
    policy: RotationPolicy,
    first: Reason,
    *,
    clock: Clock,
    settle: float,
    chance: Callable[[], float],
) -> Outcome:
    """
    The second look at one keyset; generates its next key if it still calls for one.

    first:  why the first look called for one; where this one does for a graver
        reason, it is planned again, and nothing is written
    settle: also bounds, in seconds, how long the new key is looked for
    """
    observation = Observation(tenant=tenant.name, policy=policy, now=clock.now())
    try:
        return _reconcile(tenant, observation, first, clock, settle, chance)
    except Exception as error:  # noqa: BLE001 - as above: a bug here is one keyset's failure
        return _failed(observation, error)


def sweep(tenants: Sequence[T], visit: Callable[[T], list[Outcome]], concurrency: int) -> list[Outcome]:
    """*visit* every tenant, *concurrency* of them side by side; what came of all, in their order."""
    with ThreadPoolExecutor(max_workers=min(concurrency, len(tenants)), thread_name_prefix="tenant") as pool:
        return [outcome for visited in pool.map(visit, tenants) for outcome in visited]


def _judge(
    observation: Observation, found: Keyset | RequestError | None, minimum_lead: timedelta | None = None
) -> Held | Planned | Failed:
    if found is None:
        message = f"the tenant has no keyset {observation.policy.keyset_id}; check its id, tenant_id and cloud"
        return Failed(observation=observation, failure=Failure(kind=FailureKind.NOT_FOUND, message=message))
    if isinstance(found, RequestError):
        return Failed(observation=observation, failure=found.failure)
    try:
        decision = decide(observation.policy, found, observation.now, minimum_lead=minimum_lead)
    except Exception as error:  # noqa: BLE001 - as above
        return _failed(observation, error)
    seen = replace(observation, keyset=found, assessment=decision.assessment)
    match decision:
        case Hold(reason=reason, would=would, spec=spec):
            return Held(observation=seen, reason=reason, would=would, spec=spec)
        case Rotate(reason=reason, spec=spec):
            return Planned(observation=seen, reason=reason, spec=spec)


def _reconcile(
    tenant: Tenant, observation: Observation, first: Reason, clock: Clock, settle: float, chance: Callable[[], float]
) -> Outcome:
    minimum_lead = None
    for attempt in count(1):
        keyset = tenant.keysets.fetch(observation.policy.keyset_id)
        outcome = _judge(replace(observation, now=clock.now()), keyset, minimum_lead)
        if not isinstance(outcome, Planned) or not confirms(first, outcome.reason):
            return outcome
        came = _ask(tenant, outcome, Confirmation(tenant.keysets, outcome, clock, settle), minimum_lead)
        if not isinstance(came, Failure):
            return came
        if minimum_lead is None and _came_too_early(outcome, came):
            minimum_lead = KNOWN_MINIMUM_LEAD
            continue
        pause = _pause(came, attempt, chance)
        if pause is None or not clock.sleep(pause):
            return Failed(observation=outcome.observation, failure=came, spec=outcome.spec)
    raise AssertionError  # count() has no end


def _ask(
    tenant: Tenant, planned: Planned, confirmation: Confirmation, minimum_lead: timedelta | None
) -> Outcome | Failure:
    """Ask once for the key, if nothing speaks against it; a bare `Failure` where that certainly did nothing."""
    try:
        tenant.keysets.prepare()
    except RequestError as error:
        return error.failure
    match tenant.may_write(planned):
        case Refusal() as reason:
            return Held(observation=planned.observation, reason=reason)
        case Failure() as failure:
            return Failed(observation=planned.observation, failure=failure, spec=planned.spec)
        case None:
            pass
    try:
        kid = tenant.keysets.generate(planned.observation.policy.keyset_id, planned.spec)
    except RequestError as error:
        return confirmation.settle_doubt(error.failure) if error.effect is Effect.UNKNOWN else error.failure
    return confirmation.see(kid, _TOO_EARLY if minimum_lead else None)


_TOO_EARLY = (
    "the service refused a sooner nbf, so this key takes over later than it should; set minimum_lead to "
    f"{format_span(KNOWN_MINIMUM_LEAD)}, and generate a key by hand if it cannot wait"
)


def _came_too_early(asked: Planned, failure: Failure) -> bool:
    """Whether a request that was late anyway may have been refused because its nbf was too soon."""
    late = asked.reason in (Reason.NO_VALID_KEY, Reason.OVERDUE)
    soon = asked.spec.nbf < asked.observation.now + KNOWN_MINIMUM_LEAD
    return late and soon and failure.kind is FailureKind.BAD_REQUEST and failure.status == HTTPStatus.BAD_REQUEST


def _pause(failure: Failure, attempt: int, chance: Callable[[], float]) -> float | None:
    """How long to wait before looking and deciding anew, after a request that did nothing."""
    if failure.kind is FailureKind.AUTH and failure.status == HTTPStatus.UNAUTHORIZED and attempt == 1:
        return 0.0  # the token was refused, and dropped: the next one is fresh
    passing = (FailureKind.CONFLICT, FailureKind.THROTTLED, FailureKind.NETWORK, FailureKind.TIMEOUT)
    if failure.kind not in passing or attempt >= MOST_TRIES:
        return None
    own = backoff(attempt - 1, first=2.0, longest=LONGEST_PAUSE, chance=chance())
    return bounded(failure.retry_after, own, longest=LONGEST_PAUSE)


def _failed(observation: Observation, error: Exception) -> Failed:
    if isinstance(error, RequestError):
        return Failed(observation=observation, failure=error.failure)
    message = f"a bug of this program ({type(error).__name__}); please report it with the traceback in the log"
    return Failed(observation=observation, failure=Failure(kind=FailureKind.INTERNAL, message=message), bug=error)
