"""The checks of the command `doctor`: what was observed of a tenant and of the lease, each with what to do."""

from collections.abc import Iterator
from datetime import datetime

from rotator.core.checkup import (
    CREDENTIAL_NOTICE,
    Check,
    CredentialFindings,
    HostFindings,
    LeaseFindings,
    Level,
    TenantFindings,
)
from rotator.core.errors import Failure
from rotator.core.text import format_instant
from rotator.shell.gates import MAX_SKEW, NOTABLE_SKEW
from rotator.views.keyset_checks import keyset_checks
from rotator.views.phrases import failed_check, what_and_advice
from rotator.views.sign_in_checks import sign_in_checks

READ_PERMISSION = "TrustFrameworkKeySet.Read.All"
WRITE_PERMISSION = "TrustFrameworkKeySet.ReadWrite.All"
SLOW = 0.5  # of the longest that a request may take
_HOSTS = {"login": "the login host", "graph": "Microsoft Graph", "sign_in": "the sign-in host"}


def checks(found: TenantFindings) -> Iterator[Check]:
    """All checks of one tenant."""
    yield _token(found)
    if found.no_token is None:
        yield _permissions(found)
    yield _expiry(found.tenant, "credential", found.credential, found.now)
    yield _clock(found)
    for host in found.hosts:
        yield _host(found, host)
    yield from keyset_checks(found)
    yield from sign_in_checks(found)
    if found.canary is not None:
        yield _expiry(found.tenant, "canary_credential", found.canary, found.now)


def _token(found: TenantFindings) -> Check:
    if found.no_token is not None:
        return failed_check(found.tenant, "token", found.no_token)
    return Check(tenant=found.tenant, name="token", level=Level.OK, result=f"granted to app {found.client_id}")


def _permissions(found: TenantFindings) -> Check:
    needed = WRITE_PERMISSION if found.may_write else READ_PERMISSION
    held = found.permissions
    if held is None:
        return Check(
            tenant=found.tenant,
            name="permissions",
            level=Level.WARNING,
            result="the token cannot be read",
            advice=f"check in the app registration that the app has {needed} and nothing else",
        )
    result, level, advice = ", ".join(held) or "none", Level.OK, ""
    surplus = [each for each in held if each != needed]
    if needed not in held and WRITE_PERMISSION not in held:
        can_look = found.may_write and READ_PERMISSION in held
        level = Level.WOULD_FAIL if can_look else Level.WRONG
        advice = f"grant the app the application permission {needed}, with admin consent"
    elif surplus:
        level = Level.WARNING
        why = "" if found.may_write else ", since this configuration never writes"
        advice = f"{needed} is enough{why}: remove {', '.join(surplus)}"
        if needed not in held:
            advice += f", and grant {needed}"
    return Check(tenant=found.tenant, name="permissions", level=level, result=result, advice=advice)


def _expiry(tenant: str, name: str, credential: CredentialFindings, now: datetime) -> Check:
    kind, expires, level, advice = credential.kind, credential.expires, Level.OK, ""
    if not credential.is_read:
        result, level, advice = f"{kind}, not read", Level.WARNING, "see the check before that failed"
    elif kind == "federated token":
        result = f"{kind}, which another program renews"
    elif expires is None:
        result, level = f"{kind}, expiry unknown", Level.WARNING
        advice = "set client_secret_expires to the day that the app registration shows"
    else:
        result = f"{kind}, expires {format_instant(expires)}"
        if expires <= now:
            level, advice = Level.WRONG, "it has expired: renew it now"
        elif expires - now < CREDENTIAL_NOTICE:
            level, advice = Level.WARNING, f"renew it: {(expires - now).days} days are left"
    return Check(tenant=tenant, name=name, level=level, result=result, advice=advice)


def _clock(found: TenantFindings) -> Check:
    skews = [
        reply.skew for host in found.hosts if host.role != "sign_in" for reply in host.replies if reply.skew is not None
    ]
    if not skews:
        return Check(
            tenant=found.tenant,
            name="clock",
            level=Level.WARNING,
            result="not compared: no answer has a Date header",
            advice="check the checks of the hosts below",
        )
    skew = max(skews, key=abs)
    side = "ahead of" if skew > 0 else "behind"
    result, level, advice = f"{abs(skew):.0f}s {side} the service's", Level.OK, ""
    if abs(skew) > MAX_SKEW:
        level = Level.WOULD_FAIL
        advice = f"set the clock (NTP): no key is generated while it is off by more than {MAX_SKEW:.0f}s"
    elif abs(skew) > NOTABLE_SKEW:
        level, advice = Level.WARNING, "check NTP on this machine"
    return Check(tenant=found.tenant, name="clock", level=level, result=result, advice=advice)


def _host(found: TenantFindings, host: HostFindings) -> Check:
    way = f"through {host.proxy}" if host.proxy else "without a proxy"
    if host.failure is not None:
        level, result, advice = Level.WRONG, *what_and_advice(host.failure.message)
        return Check(
            tenant=found.tenant,
            name="host",
            subject=host.role,
            level=level,
            result=f"{host.url}, {way}: {result}",
            advice=advice,
        )
    slowest = max((reply.seconds for reply in host.replies), default=0.0)
    lost = sum(reply.status is None for reply in host.replies)
    result, level, advice = f"{host.url} answers {way}, slowest in {slowest * 1000:.0f} ms", Level.OK, ""
    if lost:
        level, result = Level.WARNING, f"{result}, but not {lost} of {len(host.replies)} requests"
        advice = f"check the network on the way to {_HOSTS[host.role]}"
    elif slowest > SLOW * found.max_seconds:
        level, advice = Level.WARNING, f"check the network, or raise request_timeout ({found.max_seconds:g}s)"
    return Check(tenant=found.tenant, name="host", subject=host.role, level=level, result=result, advice=advice)


def lease_checks(found: LeaseFindings) -> Iterator[Check]:
    """The checks of the lease and of the rights on it. Without them no replica leads, and nothing is written."""
    if found.failure is not None:
        yield failed_check(None, "lease", found.failure, Level.WOULD_FAIL, found.name)
    elif found.lease is not None:
        holder = f"held by {found.lease.holder}" if found.lease.holder else "held by no replica"
        yield Check(tenant=None, name="lease", subject=found.name, level=Level.OK, result=holder)
    else:
        result = "not there: the first leader creates it"
        yield Check(tenant=None, name="lease", subject=found.name, level=Level.OK, result=result)
    for verb, answer in found.rights.items():
        if isinstance(answer, Failure):
            yield failed_check(None, "lease_right", answer, Level.WARNING, verb)
        elif answer:
            yield Check(tenant=None, name="lease_right", subject=verb, level=Level.OK, result="granted")
        else:
            yield Check(
                tenant=None,
                name="lease_right",
                subject=verb,
                level=Level.WOULD_FAIL,
                result="missing",
                advice=f"bind the service account to a Role with the verb {verb} on leases {found.name}",
            )
