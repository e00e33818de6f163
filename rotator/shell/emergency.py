"""
The replacement of keys that must not be trusted any more: the requests, and the waits between them.

Which step is next is decided in `core.emergency` alone, before each step anew, on a fresh look. This
module has the only protocol with `disable`; the daemon does not know it.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Protocol

from rotator.core.emergency import (
    Disable,
    Done,
    Enable,
    Generate,
    Made,
    NextStep,
    Order,
    Refuse,
    Sight,
    Wait,
    next_step,
)
from rotator.core.emergency_report import Ending, Report, ending_of
from rotator.core.errors import Effect, Failure, FailureKind, RequestError
from rotator.core.lifecycle import request_pause
from rotator.core.outcome import Observation, Planned
from rotator.core.policy import KNOWN_MINIMUM_LEAD, KeySpec
from rotator.core.publication import Token
from rotator.core.reasons import MEANINGS, Reason
from rotator.core.tenant import TenantId
from rotator.core.text import format_instant
from rotator.shell.clock import Clock
from rotator.shell.tenant import Keysets, SignIn, Writing

POLL = 10.0  # seconds between two looks
MAX_WAIT = timedelta(minutes=45)  # for one step
MAX_TOKENS = 2  # of which the kids are compared
_FINAL = frozenset({FailureKind.FORBIDDEN, FailureKind.NOT_FOUND, FailureKind.BAD_REQUEST})
"""Failures that a retry does not change."""


class Client(Protocol):
    """The requests that only an emergency makes. Each method raises `RequestError`."""

    def disable(self, keyset_id: str, kid: str) -> None:
        """Disable one key."""
        ...

    def active_kid(self, keyset_id: str) -> str | None:
        """The kid of the key that the service takes for the active one; None if it names none."""
        ...


class Emergency:
    """Carries out one order on one keyset; one thread."""

    def __init__(
        self,
        order: Order,
        *,
        tenant: tuple[str, TenantId],
        keysets: Keysets,
        client: Client,
        sign_in: SignIn | None,
        writing: Writing,
        clock: Clock,
        jitter: Callable[[], float],
        on_step: Callable[[Report], None],
    ) -> None:
        """
        Create the run of one order; `run` makes the first request.

        tenant: its name in the configuration, and which it is
        jitter: draws from [0, 1)
        """
        self._order = order
        self._id = order.policy.keyset_id
        self._tenant = tenant
        self._keysets = keysets
        self._client = client
        self._sign_in = sign_in
        self._writing = writing
        self._clock = clock
        self._jitter = jitter
        self._on_step = on_step
        self._began = clock.now()
        self._made: Made | None = None
        self._lead = timedelta()
        self._attempts = 0
        self._tokens: tuple[Token, ...] = ()
        self._last: Sight | None = None
        self._doing: tuple[str, str | None] | None = None
        self._until: dict[tuple[str, str | None], datetime] = {}  # when each step must have ended

    def run(self) -> Ending:
        """Carry out one step after the other until nothing is left, a step takes too long, or the process must stop."""
        while not self._clock.is_stopping:
            try:
                self._last = self._look()
            except RequestError as error:
                ending = self._not_seen(error.failure)
            else:
                self._until.pop(("look", None), None)
                ending = self._carry_out(next_step(self._order, self._last), self._last)
            if ending is not None:
                return ending
        return self._end("stopped", "a stop was asked for; the same command goes on from here")

    def _not_seen(self, failure: Failure) -> Ending | None:
        """Look again later, or end if that cannot help and nothing was changed."""
        self._begin("look", message=failure.message)
        is_final = self._last is None and failure.kind in _FINAL | {FailureKind.AUTH}
        if is_final or self._is_over("look"):
            return self._end("failed", failure.message)
        self._clock.sleep(POLL)
        return None

    def _look(self) -> Sight:
        keyset = self._keysets.fetch(self._id)
        sight = Sight(now=self._clock.now(), keyset=keyset, made=self._made, lead=self._lead)
        with contextlib.suppress(RequestError):  # one of several proofs; `fetch` says what is wrong with Graph
            sight = replace(sight, active_kid=self._client.active_kid(self._id))
        if self._sign_in is None:
            return sight
        probe = self._sign_in.probe(with_token=self._sign_in.fetches_tokens, ask_active=())
        self._tokens = () if probe.token is None else (*self._tokens, probe.token)[-MAX_TOKENS:]
        return replace(
            sight, tokens=self._tokens, listed=probe.listed, policies=len(self._sign_in.policies), now=self._clock.now()
        )

    def _carry_out(self, step: NextStep, sight: Sight) -> Ending | None:
        match step:
            case Generate(spec=spec):
                return self._generate(spec, sight)
            case Enable(kid=kid):
                return self._change("enable", kid, self._keysets.enable)
            case Disable(kid=kid):
                return self._change("disable", kid, self._client.disable)
            case Wait():
                return self._wait(step)
            case Refuse(why=why):
                return self._end("refused", why, ending_of(self._order, sight, asked=self._is_asked, refusal=step))
            case Done():
                return self._end("done", None, Ending.DONE)

    def _wait(self, step: Wait) -> Ending | None:
        self._begin(step.what.value, since=step.since)
        if self._is_over(step.what.value):
            minutes = MAX_WAIT // timedelta(minutes=1)
            return self._end("failed", f"{step.what.value}: not seen within {minutes} minutes; call the command again")
        self._clock.sleep(POLL)
        return None

    def _generate(self, spec: KeySpec, sight: Sight) -> Ending | None:
        self._begin("generate", safe_to_stop=False, message=f"nbf {format_instant(spec.nbf)}")
        name, tenant_id = self._tenant
        # Without the keyset: the gate against too many keys must not hold up an emergency.
        seen = Observation(tenant=name, tenant_id=tenant_id, policy=self._order.policy, now=sight.now)
        try:
            self._keysets.prepare()
            with self._writing(Planned(observation=seen, reason=Reason.NO_VALID_KEY, spec=spec)) as objection:
                if objection is not None:
                    why = objection.message if isinstance(objection, Failure) else MEANINGS[objection]
                    return self._end("failed", why)
                kid = self._keysets.generate(self._id, spec)
        except RequestError as error:
            if error.effect is Effect.NONE:
                return self._refused(error.failure)
            kid = None
        self._made = Made(spec=spec, kid=kid, before=sight.keyset.kids)
        return None

    def _refused(self, failure: Failure) -> Ending | None:
        """Go on after a request that certainly did nothing, or end."""
        if failure.status == HTTPStatus.BAD_REQUEST and failure.kind is FailureKind.BAD_REQUEST and not self._lead:
            self._lead = KNOWN_MINIMUM_LEAD
            until = format_instant(self._clock.now() + KNOWN_MINIMUM_LEAD)
            self._begin("look", message=f"the service refuses nbf = now; the old key signs until {until}")
            return None
        self._attempts += 1
        pause = request_pause(failure, self._attempts, self._jitter)
        if pause is None:
            return self._end("failed", failure.message)
        self._clock.sleep(pause)
        return None

    def _change(self, step: str, kid: str, change: Callable[[str, str], None]) -> Ending | None:
        """Enable or disable one key; the next look reads it back. Sent again, it changes nothing more."""
        is_again = (step, kid) == self._doing
        self._begin(step, kid, safe_to_stop=False)
        try:
            change(self._id, kid)
        except RequestError as error:
            failure = error.failure
            if failure.kind in _FINAL or self._is_over(step, kid):
                return self._end("failed", f"{step} {kid}: {failure.message}")
            is_again = True
        if self._is_over(step, kid):
            return self._end("failed", f"{step} {kid}: the keyset does not show it; check any proxy in between")
        if is_again:
            self._clock.sleep(POLL)
        return None

    def _begin(
        self,
        step: str,
        kid: str | None = None,
        *,
        since: datetime | None = None,
        safe_to_stop: bool = True,
        message: str | None = None,
    ) -> None:
        """Report a step, unless it is the one that goes on; the time for each runs from when it first began."""
        now, doing = self._clock.now(), (step, kid)
        self._until.setdefault(doing, max(now, since or now) + MAX_WAIT)
        if doing == self._doing:
            return
        self._doing = doing
        elapsed = now - self._began
        self._on_step(Report(at=now, step=step, elapsed=elapsed, safe_to_stop=safe_to_stop, kid=kid, message=message))

    def _is_over(self, step: str, kid: str | None = None) -> bool:
        return self._clock.now() > self._until[step, kid]

    @property
    def _is_asked(self) -> bool:
        return self._made is not None

    def _end(self, step: str, message: str | None, ending: Ending | None = None) -> Ending:
        if ending is None:
            ending = ending_of(self._order, self._last, asked=self._is_asked)
        now = self._clock.now()
        self._on_step(Report(at=now, step=step, elapsed=now - self._began, message=message, ending=ending))
        return ending
