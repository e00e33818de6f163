"""
Seeing in the keyset the key that was asked for: the last step of a rotation.

Either the service said that it generated the key, and named it, or nobody knows
whether it did. Both are settled by looking, for as long as it may take until every
node of the service has heard of it. A key that the service created disabled is
enabled here, since it is ours; no other key is touched.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Outcome, Planned, Rotated
from rotator.core.retry import ladder
from rotator.core.rotation import decide
from rotator.shell.clock import Clock

LONGEST_PAUSE = 30.0  # seconds between two looks
STOPPING_PATIENCE = 5.0  # seconds that are given to looking once the program was asked to stop
STOPPING_PAUSE = 0.5  # seconds between two looks then


class Shown(Protocol):
    """What it takes to see a key. Each method raises `RequestError`."""

    def fetch(self, keyset_id: str) -> Keyset:
        """One keyset as it is now."""
        ...

    def enable(self, keyset_id: str, kid: str) -> None:
        """Enable one key."""
        ...


class Confirmation:
    """Seeing in the keyset the key that was asked for."""

    def __init__(self, keysets: Shown, asked: Planned, clock: Clock, settle: float) -> None:
        """*asked* is the plan that is carried out; *settle* bounds, in seconds, how long the key is looked for."""
        self._keysets = keysets
        self._asked = asked
        self._clock = clock
        self._settle = settle
        self._before = asked.observation.keyset.kids if asked.observation.keyset else frozenset()
        self._trouble = "the keyset does not show it"
        self._last_look: float | None = None  # by monotonic time, once the program is to stop
        self._enabled_once = False
        self._enabled_now = False  # then the next look is worth it at once

    def see(self, kid: str | None, remark: str | None) -> Outcome:
        """Look until the key that the service called *kid* is there as it was asked for."""
        for keyset in self._looks():
            key = next((key for key in keyset.keys if key.kid == kid), None) if kid else self._match(keyset)
            if key is None:
                continue
            differences = self._asked.spec.differences(key)
            if differences:
                message = f"key {key.kid} was generated, but it is not what was asked for: {', '.join(differences)}"
                return self._failed(Failure(kind=FailureKind.MISMATCH, message=message), key.kid or "")
            if key.enabled:
                return self._rotated(keyset, key, remark)
            self._enable(key)
        message = f"Graph said that it generated the key, but within {self._settle:g}s {self._trouble}"
        return self._failed(Failure(kind=FailureKind.UNCONFIRMED, message=message), kid or "")

    def settle_doubt(self, doubt: Failure) -> Outcome:
        """Look whether the key is there although the request failed; adopt it where it is."""
        for keyset in self._looks():
            key = self._match(keyset)
            if key is None:
                continue
            if key.enabled:
                return self._rotated(keyset, key, f"adopted: {doubt.message}, but the key is there")
            self._enable(key)
        return self._failed(doubt.explained(f"looked for the key for {self._settle:g}s: {self._trouble}"))

    def _looks(self) -> Iterator[Keyset]:
        """
        The keyset at once, and again and again until *settle* is over.

        A stop does not end it at once: a key that is not enabled now would look as if a
        person had disabled it, and what is seen now need not be told as a failure.
        """
        until = self._clock.monotonic() + self._settle
        for pause in ladder(first=1.0, longest=LONGEST_PAUSE):
            try:
                yield self._keysets.fetch(self._asked.observation.policy.keyset_id)
            except RequestError as error:
                self._trouble = f"it could not be looked at ({error.failure.message})"
            if self._enabled_now:
                self._enabled_now = False
                continue
            if self._clock.is_stopping:
                until = min(until, self._stopped_until())
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            if not self._clock.sleep(min(pause, left)):
                self._clock.linger(min(STOPPING_PAUSE, left))

    def _stopped_until(self) -> float:
        """Until when to look at most, from the first time that somebody notices the stop."""
        if self._last_look is None:
            self._last_look = self._clock.monotonic() + STOPPING_PATIENCE
        return self._last_look

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
            self._keysets.enable(self._asked.observation.policy.keyset_id, key.kid)
            self._enabled_now = not self._enabled_once
            self._enabled_once = True
        except RequestError as error:
            self._trouble += f", and enabling it failed ({error.failure.message})"

    def _rotated(self, keyset: Keyset, key: Key, remark: str | None) -> Rotated:
        policy, now = self._asked.observation.policy, self._clock.now()
        after = replace(
            self._asked.observation, now=now, keyset=keyset, assessment=decide(policy, keyset, now).assessment
        )
        return Rotated(
            before=self._asked.observation,
            observation=after,
            reason=self._asked.reason,
            spec=self._asked.spec,
            kid=key.kid,
            remark=remark,
        )

    def _failed(self, failure: Failure, generated: str | None = None) -> Failed:
        return Failed(observation=self._asked.observation, failure=failure, spec=self._asked.spec, generated=generated)
