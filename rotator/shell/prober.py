"""
The prober: when the sign-in side of each tenant is probed, and where the evidence is stored.

Probes observe: they never write, and never delay a look. They have their own pool, so a sign-in
host that hangs delays only other probes. One thread at a time probes a tenant.

Threads: threads of the scheduler hand probes to the pool, threads of the pool replace a tenant's
evidence, and events come from the threads that look. `_lock` guards the attributes that they share,
and is only held while a reference is read or replaced.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.core.events import Event, JobFailed, Looked
from rotator.core.outcome import Rotated
from rotator.core.probing import is_token_due, probe_pause
from rotator.core.proof import KeysetProof
from rotator.core.proof_events import Probed, Watched, proof_events
from rotator.core.publication import Evidence, Probe, observe, without
from rotator.core.status import KeysetStatus
from rotator.core.tenant import TenantId
from rotator.shell.clock import Clock
from rotator.shell.jobs import Scheduler
from rotator.shell.probe_budget import ProbeBudget
from rotator.shell.tenant import SignIn, Tenant

THREADS = 2
FIRST_PROBE = 1.0  # seconds after a keyset of the tenant was first seen
JITTER = 0.1  # of a pause: by how much a probe may be later
LIST_INTERVAL = 3600.0  # seconds between two lists of all keysets; needed if a JWKS has an unknown kid
MAX_GENERATED = 1000  # keys for which the instant of their generation is remembered


@dataclass(slots=True)
class _Tenant:
    tenant: Tenant
    sign_in: SignIn
    evidence: Evidence = field(default_factory=Evidence)
    proofs: dict[str, KeysetProof] = field(default_factory=dict)  # at the last probe, by keyset
    other_kids: frozenset[str] = frozenset()
    list_again: float = 0.0
    probing: threading.Lock = field(default_factory=threading.Lock)


class Prober:
    """The probes of all tenants."""

    def __init__(
        self,
        *,
        clock: Clock,
        scheduler: Scheduler,
        tell: Callable[[Event], None],
        jitter: Callable[[], float],
        status: Callable[[TenantId, str], KeysetStatus | None],
        pools: Callable[[int, str], Executor],
    ) -> None:
        """
        Start without tenants; see `configure`.

        jitter: draws from [0, 1)
        status: returns the status of a keyset; None if it is not configured
        """
        self._clock = clock
        self._scheduler = scheduler
        self._tell = tell
        self._jitter = jitter
        self._status = status
        self._pool = pools(THREADS, "probe")
        self._lock = threading.Lock()
        self._tenants: dict[TenantId, _Tenant] = {}
        self._check_interval = timedelta()
        self._generated: dict[str, datetime] = {}
        self._budget = ProbeBudget(clock.monotonic)

    def configure(self, tenants: Sequence[Tenant], check_interval: timedelta) -> None:
        """Probe *tenants* from now on; the evidence of tenants that stay is kept, the rest is dropped."""
        with self._lock:
            before, self._tenants = self._tenants, {}
            self._check_interval = check_interval
            for tenant in tenants:
                if tenant.sign_in is None:
                    continue
                known = before.get(tenant.id)
                evidence = Evidence() if known is None else without(known.evidence, frozenset(tenant.sign_in.policies))
                self._tenants[tenant.id] = _Tenant(tenant, tenant.sign_in, evidence)
        for tenant_id in tuple(self._tenants):
            self._probe_in(tenant_id, FIRST_PROBE)

    def on_event(self, event: Event) -> None:
        """Schedule a probe soon after the first look at a keyset, and after a key was generated."""
        if not isinstance(event, Looked):
            return
        outcome, tenant_id = event.outcome, event.outcome.observation.tenant_id
        watched = self._tenants.get(tenant_id)
        if watched is None:
            return
        if isinstance(outcome, Rotated):
            if outcome.kid:
                with self._lock:
                    self._generated[outcome.kid] = outcome.observation.now
                    while len(self._generated) > MAX_GENERATED:
                        del self._generated[next(iter(self._generated))]
            self._probe_in(tenant_id, watched.sign_in.probe_interval.total_seconds())
        elif not watched.evidence.read and outcome.observation.keyset is not None:
            self._probe_in(tenant_id, FIRST_PROBE)

    def close(self) -> None:
        """Start no further probes, and wait for those that run."""
        self._tenants = {}
        self._pool.shutdown(wait=True)

    # --- one probe

    def _probe_in(self, tenant_id: TenantId, seconds: float) -> None:
        self._scheduler.once(f"probe:{tenant_id}", seconds, lambda: self._begin(tenant_id))

    def _begin(self, tenant_id: TenantId) -> None:
        try:
            self._pool.submit(self._run, tenant_id)
        except RuntimeError:  # the pool is closed: the program ends
            return

    def _run(self, tenant_id: TenantId) -> None:
        watched = self._tenants.get(tenant_id)
        if watched is None or self._clock.is_stopping or not watched.probing.acquire(blocking=False):
            return
        pause = watched.sign_in.probe_interval.total_seconds()
        try:
            pause = self._probe(tenant_id, watched)
        except Exception as error:  # noqa: BLE001 - a bug ends this probe only
            self._tell(JobFailed(job="probe", error=error))
        finally:
            watched.probing.release()
        if tenant_id in self._tenants:
            self._probe_in(tenant_id, pause * (1 + JITTER * self._jitter()))

    def _probe(self, tenant_id: TenantId, watched: _Tenant) -> float:
        """Probe one tenant; returns the seconds until its next probe."""
        sign_in, name = watched.sign_in, watched.tenant.name
        keysets = self._keysets(watched.tenant)
        if not keysets:
            return sign_in.probe_interval.total_seconds()
        unpublished = [each for each in keysets if not watched.evidence.policies_of(each)]
        wait = self._budget.spend(2 * len(sign_in.policies) + len(unpublished) + 2)
        if wait > 0:
            return wait
        before, shown = watched.evidence, {keyset_id: each.keyset for keyset_id, each in keysets.items()}
        with_token = sign_in.fetches_tokens and is_token_due(before, shown, self._clock.now())
        # Which keysets the policies publish is unknown until their JWKS were read.
        probe = sign_in.probe(with_token=with_token, ask_active=unpublished if before.read else ())
        kids = frozenset(kid for keyset in shown.values() for kid in keyset.kids if kid is not None)
        after = observe(before, probe, shown, kids | self._others(watched, probe, kids))
        with self._lock:
            if self._tenants.get(tenant_id) is not watched:
                return 0.0  # the configuration changed meanwhile: probe again with the new one
            watched.evidence = after
            generated = dict(self._generated)
        self._tell(Probed(tenant=name, tenant_id=tenant_id, probe=probe, evidence=after))
        proofs = {keyset_id: each.proof(after, probe.now) for keyset_id, each in keysets.items()}
        for keyset_id, each in keysets.items():
            earlier = watched.proofs.get(keyset_id)
            for event in proof_events(each, after, earlier, proofs[keyset_id], probe.now, generated):
                self._tell(event)
        watched.proofs = proofs
        return probe_pause(
            after,
            shown,
            probe.now,
            policies=frozenset(sign_in.policies),
            probe_interval=sign_in.probe_interval,
            check_interval=self._check_interval,
        ).total_seconds()

    def _others(self, watched: _Tenant, probe: Probe, kids: frozenset[str]) -> frozenset[str]:
        """The kids in the probe that belong to keysets that are not configured; all its kids while that is unknown."""
        listed = frozenset(key.kid for keys in probe.listed.values() for key in keys)
        now = self._clock.monotonic()
        if not listed - kids - watched.other_kids or now < watched.list_again:
            return watched.other_kids
        found = watched.sign_in.all_kids()
        if found is None:
            return listed
        watched.other_kids, watched.list_again = found, now + LIST_INTERVAL
        return found

    def _keysets(self, tenant: Tenant) -> dict[str, Watched]:
        """The tenant's keysets as last read."""
        found = {}
        for policy in tenant.policies:
            status = self._status(tenant.id, policy.keyset_id)
            observation = None if status is None else status.observation
            if observation is not None and observation.keyset is not None:
                found[policy.keyset_id] = Watched(
                    tenant=tenant.name, policy=policy, keyset=observation.keyset, seen=observation.now
                )
        return found
