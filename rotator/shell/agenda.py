"""The agenda of one tenant: what is remembered between two visits, and which visit runs or waits."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from rotator.core.outcome import Outcome
from rotator.core.stages import Asked, Idle, Progress, Timing
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant


class Kind(StrEnum):
    """The purpose of a visit."""

    SWEEP = "sweep"  # look at every keyset
    RETRY = "retry"  # look at every keyset again, because a look at one failed
    ACT = "act"  # request the keys that are due, and look for requested keys


Result: TypeAlias = "Future[list[Outcome]]"
"""A future of the outcomes of a visit."""


@dataclass(frozen=True, slots=True)
class Booked:
    """A visit that runs, or that waits for the end of the one that runs."""

    kind: Kind
    result: Result


class Agenda:
    """
    The keysets of one tenant, and the visits to it. One visit runs at a time.

    Only the thread of the visit may use `tenant`, `progress` and `since`. Other threads may
    read `is_confirming` and `is_failing`, which are replaced as a whole.
    """

    def __init__(self, tenant: Tenant) -> None:
        """Start without any knowledge of the keysets, and without a visit."""
        self.tenant = tenant
        self.progress: dict[str, Progress] = {}
        self.since = -1
        self.is_confirming = False
        self.is_failing = False
        self._lock = threading.Lock()  # guards the two attributes below
        self._running: Booked | None = None
        self._following: dict[Kind, Booked] = {}

    # --- which visit runs

    def book(self, kind: Kind) -> tuple[Booked, bool]:
        """Return the running or waiting visit of *kind*, or a new one; and True if the caller must begin it now."""
        with self._lock:
            if self._running is None:
                self._running = Booked(kind, Future())
                return self._running, True
            if self._running.kind is kind:
                return self._running, False
            return self._following.setdefault(kind, Booked(kind, Future())), False

    def end(self) -> Booked | None:
        """Record the end of the running visit; returns the waiting visit that the caller must begin now, or None."""
        with self._lock:
            self._running = None
            for kind in (Kind.ACT, Kind.SWEEP, Kind.RETRY):
                if kind in self._following:
                    self._running = self._following.pop(kind)
                    break
            return self._running

    @property
    def is_visited(self) -> bool:
        """True if a visit runs or is about to begin."""
        return self._running is not None

    # --- what is known

    def keep(self, progress: Progress) -> None:
        """Store the progress of a keyset."""
        self.progress[progress.policy.keyset_id] = progress
        asked = [each for each in self.progress.values() if isinstance(each.stage, Asked)]
        self.is_confirming = bool(asked)
        self.is_failing = any(each.is_failing for each in asked)

    def revise(self, snapshot: Snapshot) -> None:
        """
        Forget what is not valid under *snapshot*: looks with another policy, or from before the lead was lost.

        A requested key is kept until it is seen, even if the configuration has changed.
        """
        tenant, since = snapshot.tenants.get(self.tenant.id), snapshot.since.get(self.tenant.id, -1)
        begins_anew, self.since = since != self.since, since
        known, self.progress = self.progress, {}
        if tenant is not None:
            self.tenant = tenant
            for policy in tenant.policies:
                progress = known.get(policy.keyset_id, Progress(policy=policy))
                if not isinstance(progress.stage, Asked):
                    if begins_anew:
                        progress = Progress(policy=policy, was_seen=progress.was_seen)
                    elif progress.policy != policy:
                        progress = replace(progress, policy=policy, stage=Idle())
                self.progress[policy.keyset_id] = progress
        for keyset_id, progress in known.items():
            if keyset_id not in self.progress and isinstance(progress.stage, Asked):
                self.progress[keyset_id] = progress

    def act_at(self, timing: Timing) -> float | None:
        """When the next visit of kind `ACT` is due, in monotonic seconds; None if none is."""
        wanted = (progress.act_at(timing) for progress in self.progress.values())
        return min((at for at in wanted if at is not None), default=None)

    def confirm_at(self, default: float) -> float:
        """When the next look for a requested key is due, in monotonic seconds; *default* if no key is requested."""
        stages = (progress.stage for progress in self.progress.values())
        return min((stage.next_look for stage in stages if isinstance(stage, Asked)), default=default)

    def retry_at(self) -> float | None:
        """When the next visit of kind `RETRY` is due, in monotonic seconds; None if the next sweep is soon enough."""
        return min((each.retry_at for each in self.progress.values() if each.retry_at is not None), default=None)
