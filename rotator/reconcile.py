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
2. A request that may have been carried out is never sent again. What it did is
   found out by looking; if that shows nothing, rule 1 begins anew.
3. A request that certainly did nothing is sent again only after looking and
   deciding anew.
4. Right before each request `may_write` is asked: it knows of reasons that lie
   outside of the keyset.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

from rotator.clock import Clock
from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Held, Outcome, Planned, Rotated, Sight
from rotator.core.retry import backoff, bounded, ladder
from rotator.core.rotation import Hold, KeySpec, Reason, Rotate, RotationPolicy, decide

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

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        """Ask once for a key; its kid, where the service names it."""
        ...

    def enable(self, keyset_id: str, kid: str) -> None:
        """Enable one key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One tenant: what is wanted of which keysets, where they are, and whether they may be written to now."""

    name: str
    policies: tuple[RotationPolicy, ...]
    keysets: Keysets
    may_write: Callable[[], Reason | None]


T = TypeVar("T")


def look(tenant: Tenant, now: datetime) -> list[Outcome]:
    """The first look at every keyset of *tenant*: one request, nothing written."""
    sights = [Sight(tenant=tenant.name, policy=policy, now=now) for policy in tenant.policies]
    try:
        listed = tenant.keysets.list_keysets([policy.keyset_id for policy in tenant.policies])
    except Exception as error:  # noqa: BLE001 - one tenant's bug must not cost the others their keys
        return [_failed(sight, error) for sight in sights]
    return [_judge(sight, listed.get(sight.policy.keyset_id)) for sight in sights]


def reconcile(
    tenant: Tenant, policy: RotationPolicy, clock: Clock, settle: float, chance: Callable[[], float]
) -> Outcome:
    """
    The second look at one keyset; generates its next key if it still calls for one.

    *settle* also bounds, in seconds, how long the new key is looked for.
    """
    sight = Sight(tenant=tenant.name, policy=policy, now=clock.now())
    try:
        return _reconcile(tenant, sight, clock, settle, chance)
    except Exception as error:  # noqa: BLE001 - as above: a bug here is one keyset's failure
        return _failed(sight, error)


def sweep(tenants: Sequence[T], visit: Callable[[T], list[Outcome]], concurrency: int) -> list[Outcome]:
    """*visit* every tenant, *concurrency* of them side by side; what came of all, in their order."""
    with ThreadPoolExecutor(max_workers=min(concurrency, len(tenants)), thread_name_prefix="tenant") as pool:
        return [outcome for visited in pool.map(visit, tenants) for outcome in visited]


def _judge(sight: Sight, found: Keyset | RequestError | None) -> Outcome:
    if found is None:
        message = f"the tenant has no keyset {sight.policy.keyset_id}; check its id, tenant_id and cloud"
        return Failed(sight=sight, failure=Failure(kind=FailureKind.NOT_FOUND, message=message))
    if isinstance(found, RequestError):
        return Failed(sight=sight, failure=found.failure)
    try:
        decision = decide(sight.policy, found, sight.now)
    except Exception as error:  # noqa: BLE001 - as above
        return _failed(sight, error)
    seen = replace(sight, keyset=found, outlook=decision.outlook)
    match decision:
        case Hold(reason=reason):
            return Held(sight=seen, reason=reason)
        case Rotate(reason=reason, spec=spec):
            return Planned(sight=seen, reason=reason, spec=spec)


def _reconcile(tenant: Tenant, sight: Sight, clock: Clock, settle: float, chance: Callable[[], float]) -> Outcome:
    attempt = 0
    while True:
        now = clock.now()
        outcome = _judge(replace(sight, now=now), tenant.keysets.fetch(sight.policy.keyset_id))
        if not isinstance(outcome, Planned):
            return outcome
        refusal = tenant.may_write()
        if refusal is not None:
            return Held(sight=outcome.sight, reason=refusal)
        try:
            kid = tenant.keysets.generate(sight.policy.keyset_id, outcome.spec)
        except RequestError as error:
            if error.effect is Effect.UNKNOWN:
                return _Confirmation(tenant, outcome, clock, settle).settle_doubt(error.failure)
            attempt += 1
            pause = _pause(error.failure, attempt, chance)
            if pause is None or not clock.sleep(pause):
                return Failed(sight=outcome.sight, failure=error.failure, spec=outcome.spec)
        else:
            return _Confirmation(tenant, outcome, clock, settle).see(kid)


def _pause(failure: Failure, attempt: int, chance: Callable[[], float]) -> float | None:
    """How long to wait before looking and deciding anew, after a request that did nothing."""
    passing = (FailureKind.CONFLICT, FailureKind.THROTTLED, FailureKind.NETWORK, FailureKind.TIMEOUT)
    if failure.kind not in passing or attempt >= MOST_TRIES:
        return None
    own = backoff(attempt - 1, first=2.0, longest=LONGEST_PAUSE, chance=chance())
    return bounded(failure.retry_after, own, longest=LONGEST_PAUSE)


class _Confirmation:
    """Seeing in the keyset the key that was asked for."""

    def __init__(self, tenant: Tenant, asked: Planned, clock: Clock, settle: float) -> None:
        self._tenant = tenant
        self._asked = asked
        self._clock = clock
        self._settle = settle
        self._before = asked.sight.keyset.kids if asked.sight.keyset else frozenset()
        self._trouble = "the keyset does not show it"
        self._enabled_once = False
        self._enabled_now = False  # then the next look is worth it at once

    def see(self, kid: str | None) -> Outcome:
        """Look until the key that the service called *kid* is there as it was asked for."""
        for keyset in self._looks():
            key = next((key for key in keyset.keys if key.kid == kid), None) if kid else self._match(keyset)
            if key is None:
                continue
            differences = self._asked.spec.differences(key)
            if differences:
                message = f"key {key.kid} was generated, but it is not what was asked for: {', '.join(differences)}"
                return self._failed(Failure(kind=FailureKind.MISMATCH, message=message))
            if key.enabled:
                return self._rotated(keyset, key)
            self._enable(key)
        message = f"Graph said that it generated the key, but within {self._settle:g}s {self._trouble}"
        return self._failed(Failure(kind=FailureKind.UNCONFIRMED, message=message))

    def settle_doubt(self, doubt: Failure) -> Outcome:
        """Look whether the key is there although the request failed; adopt it where it is."""
        for keyset in self._looks():
            key = self._match(keyset)
            if key is None:
                continue
            if key.enabled:
                return self._rotated(keyset, key)
            self._enable(key)
        return self._failed(doubt.explained(f"looked for the key for {self._settle:g}s: {self._trouble}"))

    def _looks(self) -> Iterator[Keyset]:
        """The keyset at once, and again and again until *settle* is over or the program is to stop."""
        until = self._clock.monotonic() + self._settle
        for pause in ladder(first=1.0, longest=LONGEST_PAUSE):
            try:
                yield self._tenant.keysets.fetch(self._asked.sight.policy.keyset_id)
            except RequestError as error:
                self._trouble = f"it could not be looked at ({error.failure.message})"
            if self._enabled_now:
                self._enabled_now = False
                continue
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            if not self._clock.sleep(min(pause, left)):
                self._trouble += " (stopped before its time was up)"
                return

    def _match(self, keyset: Keyset) -> Key | None:
        """A key exactly as asked for, among those that were not there before."""
        fresh = (key for key in keyset.keys if key.kid not in self._before)
        return next((key for key in fresh if not self._asked.spec.differences(key)), None)

    def _enable(self, key: Key) -> None:
        """The service may create keys disabled; this one is ours, so the same rotation enables it."""
        self._trouble = f"key {key.kid} is there, but disabled"
        if key.kid is None:
            return
        try:
            self._tenant.keysets.enable(self._asked.sight.policy.keyset_id, key.kid)
            self._enabled_now = not self._enabled_once
            self._enabled_once = True
        except RequestError as error:
            self._trouble += f", and enabling it failed ({error.failure.message})"

    def _rotated(self, keyset: Keyset, key: Key) -> Rotated:
        policy, now = self._asked.sight.policy, self._clock.now()
        after = replace(self._asked.sight, now=now, keyset=keyset, outlook=decide(policy, keyset, now).outlook)
        return Rotated(
            before=self._asked.sight, sight=after, reason=self._asked.reason, spec=self._asked.spec, kid=key.kid
        )

    def _failed(self, failure: Failure) -> Failed:
        return Failed(sight=self._asked.sight, failure=failure, spec=self._asked.spec)


def _failed(sight: Sight, error: Exception) -> Failed:
    if isinstance(error, RequestError):
        return Failed(sight=sight, failure=error.failure)
    message = f"a bug of this program ({type(error).__name__}); please report it with the traceback in the log"
    return Failed(sight=sight, failure=Failure(kind=FailureKind.INTERNAL, message=message), bug=error)
