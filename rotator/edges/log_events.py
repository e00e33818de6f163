"""
The log lines: one for each event that operators read or filter on.

Their names are `noun.past_participle` and part of the interface, as are `tenant` and
`keyset` on every line about a keyset.
"""

from collections import Counter
from datetime import timedelta

from rotator.core.assessment import Shortfall
from rotator.core.events import (
    ClockSkewed,
    ConfigRejected,
    ConfigReloaded,
    Event,
    JobFailed,
    JobMissed,
    KeysetChanged,
    KeysetCreated,
    Looked,
    RequestFinished,
    SweepFinished,
)
from rotator.core.findings import INFORMATION
from rotator.core.lease import Acquired, LeaseRequestFailed, LossReason, Lost, Released
from rotator.core.outcome import Failed, Held, Observation, Outcome, OutcomeName, Planned, Rotated
from rotator.core.policy import KeySpec
from rotator.core.proof_events import FindingChanged, KeyPublished, KeySigning, Probed
from rotator.core.reasons import NEEDS_A_PERSON
from rotator.core.text import format_instant, format_span
from rotator.edges.logs import Logger


class EventLog:
    """Writes a line for each event."""

    def __init__(self, log: Logger, *, without_outcomes: bool = False) -> None:
        """*without_outcomes*: outcomes are not logged, because a table shows them; tracebacks of bugs still are."""
        self._log = log
        self._without_outcomes = without_outcomes

    def on_event(self, event: Event) -> None:
        """Write the line of *event*, if it has one."""
        log = self._log
        match event:
            case Looked(outcome=outcome):
                if not self._without_outcomes or (isinstance(outcome, Failed) and outcome.bug is not None):
                    _outcome(log, outcome)
            case KeysetChanged(tenant=tenant, keyset=keyset, changes=changes):
                listed = [{"change": change.kind, "kid": change.kid} for change in changes]
                log.warning("keyset.changed", tenant=tenant, keyset=keyset, changes=listed)
            case KeysetCreated(tenant=tenant, keyset=keyset):
                log.info("keyset.created", tenant=tenant, keyset=keyset)
            case RequestFinished():
                _request(log, event)
            case SweepFinished():
                _sweep(log, event)
            case ClockSkewed(tenant=tenant, seconds=seconds):
                advice = "correct the time of this machine (check NTP)"
                log.warning("clock.skewed", tenant=tenant, seconds=round(seconds, 1), advice=advice)
            case JobFailed(job=job, error=error):
                log.error("job.raised", job=job, exc_info=error)
            case JobMissed(job=job):
                log.warning(
                    "job.missed", job=job, advice="the run before it still runs; check_interval may be too short"
                )
            case _:
                _configuration(log, event)
                _election(log, event)
                _proof(log, event)


def _configuration(log: Logger, event: Event) -> None:
    match event:
        case ConfigReloaded(data=data):
            log.info("config.reloaded", **data)
        case ConfigRejected(error=error):
            log.error("config.rejected", config=error.source, faults=[str(problem) for problem in error.problems])
        case _:
            pass


def _proof(log: Logger, event: Event) -> None:
    match event:
        case Probed(tenant=tenant, probe=probe):
            for policy, failure in probe.failures.items():
                log.warning("probe.failed", tenant=tenant, policy=policy, kind=failure.kind, message=failure.message)
            if probe.token_failure is not None:
                failure = probe.token_failure
                log.warning("probe.failed", tenant=tenant, kind=failure.kind, message=failure.message)
        case KeyPublished(tenant=tenant, keyset=keyset, kid=kid, lead=lead, delay=delay):
            log.info("key.published", tenant=tenant, keyset=keyset, kid=kid, **_spans(lead=lead, delay=delay))
        case KeySigning(tenant=tenant, keyset=keyset, kid=kid, delay=delay):
            log.info("key.signing", tenant=tenant, keyset=keyset, kid=kid, **_spans(delay=delay))
        case FindingChanged(tenant=tenant, keyset=keyset, finding=finding, is_raised=is_raised):
            emit = log.warning if is_raised and finding.kind not in INFORMATION else log.info
            about = {"note": finding.kind, "kid": finding.kid, "policies": list(finding.policies)}
            emit("note.added" if is_raised else "note.removed", tenant=tenant, keyset=keyset, **about)
        case _:
            pass


def _spans(**spans: timedelta | None) -> dict[str, str]:
    return {name: format_span(span) for name, span in spans.items() if span is not None}


def _election(log: Logger, event: Event) -> None:
    match event:
        case Acquired(identity=identity, before=before):
            log.info("lease.acquired", identity=identity, before=before or None)
        case Lost(identity=identity, reason=reason):
            emit = log.info if reason is LossReason.STOPPING else log.warning
            emit("lease.lost", identity=identity, reason=reason)
        case Released(identity=identity, was_handed_over=True):
            log.info("lease.released", identity=identity)
        case LeaseRequestFailed(failure=failure, is_repeated=False):
            log.warning("lease.failed", kind=failure.kind, message=failure.message, status=failure.status)
        case _:
            pass


def _request(log: Logger, event: RequestFinished) -> None:
    exchange = event.exchange
    log.debug(
        "request.finished",
        tenant=event.tenant,
        operation=exchange.operation,
        status=exchange.status,
        seconds=round(exchange.seconds, 3),
        client_request_id=exchange.client_request_id,
    )


def _sweep(log: Logger, event: SweepFinished) -> None:
    names = Counter(outcome.name for outcome in event.outcomes)
    counts = {name.value: names[name] for name in OutcomeName}
    late = {"late": event.late} if event.late else {}
    log.info("sweep.finished", seconds=round(event.seconds, 3), keysets=len(event.outcomes), **counts, **late)


def _outcome(log: Logger, outcome: Outcome) -> None:
    """One line for one keyset and look."""
    about = _about(outcome.observation)
    match outcome:
        case Held(reason=reason):
            at_risk = outcome.observation.assessment is not None and outcome.observation.assessment.at_risk
            emit = log.warning if at_risk or reason in NEEDS_A_PERSON else log.debug
            emit("keyset.held", **about, reason=reason)
        case Planned(observation=observation, reason=reason, spec=spec):
            emit = log.warning if observation.assessment and observation.assessment.shortfall.overlap else log.info
            emit("keyset.planned", **about, reason=reason, **_key(spec))
        case Rotated(reason=reason, spec=spec, kid=kid, remark=remark):
            emit = log.warning if remark else log.info
            remarked = {"remark": remark} if remark else {}
            emit("keyset.rotated", **about, reason=reason, **_key(spec), kid=kid, **remarked)
        case Failed(failure=failure, spec=spec, bug=bug):
            told = {
                "kind": failure.kind,
                "message": failure.message,
                "status": failure.status,
                "code": failure.code,
                "request_id": failure.request_id,
                "client_request_id": failure.client_request_id,
            }
            given = {name: value for name, value in told.items() if value is not None}
            log.error("keyset.failed", **about, **given, **(_key(spec) if spec else {}), exc_info=bug)


def _about(observation: Observation) -> dict[str, object]:
    about: dict[str, object] = {"tenant": observation.tenant, "keyset": observation.policy.keyset_id}
    if observation.assessment is not None:
        assessment = observation.assessment
        about["cover"] = assessment.cover
        if assessment.covered_until is not None:
            about["covered_until"] = format_instant(assessment.covered_until)
        about["renewal_due"] = format_instant(assessment.plan.renewal_due)
        if assessment.shortfall:
            about["shortfall"] = _shortfall(assessment.shortfall)
        if assessment.notes:
            about["notes"] = [{"kid": note.kid, "note": note.kind} for note in assessment.notes]
    return about


def _shortfall(shortfall: Shortfall) -> dict[str, str]:
    """By how much lead, overlap and cover fall short, as text."""
    spans = {"lead": shortfall.lead, "overlap": shortfall.overlap, "cover": shortfall.cover}
    return {name: format_span(span) for name, span in spans.items() if span}


def _key(spec: KeySpec) -> dict[str, str]:
    return {"nbf": format_instant(spec.nbf), "exp": format_instant(spec.exp)}
