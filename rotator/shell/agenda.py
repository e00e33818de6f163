"""What is remembered of one tenant between two visits, and which visit runs."""

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
    """What a visit is for."""

    SWEEP = "sweep"  # look at every keyset
    RETRY = "retry"  # look at every keyset again, since looking at one has failed
    ACT = "act"  # ask for keys that are called for, and look for those that were asked for


Result: TypeAlias = "Future[list[Outcome]]"
"""The outcomes of a visit, once it has ended."""


@dataclass(frozen=True, slots=True)
class Booked:
    """A visit that runs, or that follows the one that runs."""

    kind: Kind
    result: Result


class Agenda:
    """
    One tenant's keysets, and the visits to it, of which one runs at a time.

    The thread that makes the visit owns `tenant`, `progress` and `since`; other threads may
    read `is_confirming` and `is_failing`, which are replaced as a whole.
    """

    def __init__(self, tenant: Tenant) -> None:
        """Nothing is known of the tenant, and nobody visits it."""
        self.tenant = tenant
        self.progress: dict[str, Progress] = {}
        self.since = -1
        self.is_confirming = False
        self.is_failing = False
        self._lock = threading.Lock()  # of the two below
        self._running: Booked | None = None
        self._following: dict[Kind, Booked] = {}

    # --- which visit runs

    def book(self, kind: Kind) -> tuple[Booked, bool]:
        """The visit of that *kind*: the one that runs already, or a new one; and whether it is to be begun now."""
        with self._lock:
            if self._running is None:
                self._running = Booked(kind, Future())
                return self._running, True
            if self._running.kind is kind:
                return self._running, False
            return self._following.setdefault(kind, Booked(kind, Future())), False

    def end(self) -> Booked | None:
        """The visit that runs has ended; the one to be begun now, if any waited for it."""
        with self._lock:
            self._running = None
            for kind in (Kind.ACT, Kind.SWEEP, Kind.RETRY):
                if kind in self._following:
                    self._running = self._following.pop(kind)
                    break
            return self._running

    @property
    def is_visited(self) -> bool:
        """Whether a visit runs, or is about to."""
        return self._running is not None

    # --- what is known

    def keep(self, progress: Progress) -> None:
        """Remember where a keyset stands."""
        self.progress[progress.policy.keyset_id] = progress
        asked = [each for each in self.progress.values() if isinstance(each.stage, Asked)]
        self.is_confirming = bool(asked)
        self.is_failing = any(each.is_failing for each in asked)

    def revise(self, snapshot: Snapshot) -> None:
        """
        Forget what does not hold under *snapshot*: looks at another policy, or before a break.

        What was asked for is kept until it is seen, whatever became of the configuration.
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
        """When the next keyset wants to be acted upon, in monotonic seconds; None where none does."""
        wanted = (progress.act_at(timing) for progress in self.progress.values())
        return min((at for at in wanted if at is not None), default=None)

    def confirm_at(self, default: float) -> float:
        """When to look for the next key that was asked for, in monotonic seconds; *default* where there is none."""
        stages = (progress.stage for progress in self.progress.values())
        return min((stage.next_look for stage in stages if isinstance(stage, Asked)), default=default)

    def retry_at(self) -> float | None:
        """When to look again after a failure, in monotonic seconds; None where the next sweep is soon enough."""
        return min((each.retry_at for each in self.progress.values() if each.retry_at is not None), default=None)
