"""One probe of each tenant that has a sign-in side, for commands that show the state of the moment."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import datetime

from rotator.core.errors import Failure, FailureKind
from rotator.core.keyset import Keyset
from rotator.core.proof_events import Probed
from rotator.core.publication import Evidence, Probe, observe
from rotator.core.tenant import TenantId
from rotator.shell.probe_budget import MAX_REQUESTS, ProbeBudget
from rotator.shell.tenant import SignIn, Tenant

_NO_BUDGET = Failure(
    kind=FailureKind.THROTTLED,
    message=f"not probed: a process makes at most {MAX_REQUESTS} requests in 5 minutes; select fewer tenants",
)


def probe_once(
    tenants: Sequence[Tenant],
    keysets: Mapping[TenantId, Mapping[str, Keyset]],
    *,
    now: datetime,
    pool: Executor,
    budget: ProbeBudget,
) -> tuple[Probed, ...]:
    """
    Probe each of *tenants* that has a sign-in side, in the threads of *pool*; no failure is raised.

    No token is fetched: each one runs the journey of a policy. Which key signs is known from the JWKS, or
    from getActiveKey for a keyset that no policy publishes.

    keysets: by tenant, those that were just read
    now:     the instant of a probe that could not begin
    """
    begun: list[tuple[Tenant, SignIn, Future[tuple[Probe, Evidence]] | None]] = []
    for tenant in tenants:
        if tenant.sign_in is None:
            continue
        known = keysets.get(tenant.id, {})
        if budget.spend(3 * len(tenant.sign_in.policies) + len(known)) > 0:
            begun.append((tenant, tenant.sign_in, None))
        else:
            begun.append((tenant, tenant.sign_in, pool.submit(_probe, tenant.sign_in, known)))
    found = []
    for tenant, sign_in, future in begun:
        try:
            probe, evidence = (_failed(sign_in, now, _NO_BUDGET), Evidence()) if future is None else future.result()
        except Exception as error:  # noqa: BLE001 - a bug in a probe must not hide the keysets
            failure = Failure(kind=FailureKind.INTERNAL, message=f"the probe ended with {type(error).__name__}")
            probe, evidence = _failed(sign_in, now, failure), Evidence()
        found.append(Probed(tenant=tenant.name, tenant_id=tenant.id, probe=probe, evidence=evidence))
    return tuple(found)


def _probe(sign_in: SignIn, keysets: Mapping[str, Keyset]) -> tuple[Probe, Evidence]:
    """The result of a probe. Only its JWKS show for which keysets to call getActiveKey, in a second step."""
    kids = frozenset(kid for keyset in keysets.values() for kid in keyset.kids if kid is not None)
    probe = sign_in.probe(with_token=False, ask_active=())
    evidence = observe(Evidence(), probe, keysets, kids)
    unpublished = [keyset_id for keyset_id in keysets if not evidence.policies_of(keyset_id)]
    if probe.listed and unpublished:
        asked = sign_in.probe(with_token=False, ask_active=unpublished)
        evidence = observe(evidence, asked, keysets, kids)
    return probe, evidence


def _failed(sign_in: SignIn, now: datetime, failure: Failure) -> Probe:
    return Probe(now=now, failures=dict.fromkeys(sign_in.policies, failure))
