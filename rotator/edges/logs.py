"""
Log lines. The only door to structlog.

One JSON object a line on stderr, or a readable line on a terminal. What other
libraries log goes through the same pipe, from warning on. Nothing secret is
printed: what holds a secret has a repr that does not show it, tracebacks come
without local variables, and the last step before a line is written strikes out
known secrets, tokens and private keys, whoever logged them.
"""

import logging
import os
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from rotator.core.assessment import Shortfall
from rotator.core.exchange import Exchange
from rotator.core.outcome import Failed, Held, Observation, Outcome, Planned, Rotated
from rotator.core.policy import KeySpec
from rotator.core.reasons import NEEDS_A_PERSON
from rotator.core.text import format_instant, format_span, printable

STRUCK = "[secret]"
SHORTEST = 8  # characters
MOST_PASSING = 1000
_SHAPES = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"  # a JWT: token or assertion
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)
_FOREIGN = ("httpx", "httpcore", "apscheduler", "msal", "urllib3")

Event = MutableMapping[str, Any]

Logger = FilteringBoundLogger


class Secrets:
    """What must never be printed. Values are learnt when they are read."""

    def __init__(self) -> None:
        """Nothing is known but shapes."""
        self._lock = threading.Lock()
        self._kept: tuple[str, ...] = ()
        self._passing: tuple[str, ...] = ()

    def learn(self, value: str, *, for_good: bool) -> None:
        """
        Strike *value* out from now on; too short a one would strike out words.

        for_good: it is not one of many that come and go, of which the last thousand are remembered
        """
        with self._lock:
            if len(value) < SHORTEST or value in self._kept or value in self._passing:
                return
            if for_good:
                self._kept = (*self._kept, value)
            else:
                self._passing = (*self._passing[1 - MOST_PASSING :], value)

    def strike(self, text: str) -> str:
        """*text* without anything secret."""
        for value in (*self._kept, *self._passing):
            if len(value) <= len(text):
                text = text.replace(value, STRUCK)
        return _SHAPES.sub(STRUCK, text)

    def __call__(self, logger: object, name: str, event: Event) -> Event:
        """Strike secrets out of every value of a log line, as a processor of structlog."""
        del logger, name
        return {self.strike(key): self._clean(value) for key, value in event.items()}

    def _clean(self, value: object) -> object:
        if isinstance(value, bool | int | float | None):
            return value
        if isinstance(value, Mapping):
            return {self.strike(str(key)): self._clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(inner) for inner in value]
        return self.strike(str(value))


def logger(level: str, style: str, secrets: Secrets, stream: TextIO = sys.stderr) -> FilteringBoundLogger:
    """
    The program's logger; also takes over what libraries log.

    style: json, console, or auto (console where *stream* is a terminal)
    """
    terminal = stream.isatty()
    console = style == "console" or (style == "auto" and terminal)
    stamp: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        secrets,
        _one_line if console else _in_order,
        structlog.dev.ConsoleRenderer(colors=terminal and not os.environ.get("NO_COLOR"), sort_keys=False)
        if console
        else structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=render, foreign_pre_chain=stamp))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)
    # What it skips, and what jobs raise, is told by us, as job.missed and job.raised.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)
    # MSAL logs bodies of answers that it can't read; all that it raises is logged by us.
    logging.getLogger("msal").setLevel(logging.CRITICAL)
    ours = logging.getLogger("rotator")
    ours.setLevel(level.upper())
    bound: FilteringBoundLogger = structlog.wrap_logger(
        ours,
        processors=[*stamp, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return bound


def log_crashes(log: FilteringBoundLogger) -> None:
    """Have what nobody catches go through the same pipe from now on: Python itself would print whatever it quotes."""

    def crashed(kind: type[BaseException], error: BaseException | None, _: object) -> None:
        if issubclass(kind, Exception):
            log.critical("rotator.crashed", thread=threading.current_thread().name, exc_info=error)

    sys.excepthook = crashed
    threading.excepthook = lambda found: crashed(found.exc_type, found.exc_value, found.exc_traceback)


def log_outcome(log: FilteringBoundLogger, outcome: Outcome) -> None:
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


def log_exchange(log: FilteringBoundLogger, tenant: str, exchange: Exchange) -> None:
    """One line for one request."""
    log.debug(
        "request.finished",
        tenant=tenant,
        operation=exchange.operation,
        status=exchange.status,
        seconds=round(exchange.seconds, 3),
        client_request_id=exchange.client_request_id,
    )


def log_skew(log: FilteringBoundLogger, tenant: str, seconds: float) -> None:
    """One line where the local clock begins or ends to differ notably from a service's."""
    log.warning(
        "clock.skewed", tenant=tenant, seconds=round(seconds, 1), advice="see to the time of this machine (NTP)"
    )


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
    """What falls short, and by how much."""
    spans = {"lead": shortfall.lead, "overlap": shortfall.overlap, "cover": shortfall.cover}
    return {name: format_span(span) for name, span in spans.items() if span}


def _key(spec: KeySpec) -> dict[str, str]:
    return {"nbf": format_instant(spec.nbf), "exp": format_instant(spec.exp)}


def _in_order(logger: object, name: str, event: Event) -> Event:
    """Timestamp, level and event first: a line is read from the left."""
    del logger, name
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


def _one_line(logger: object, name: str, event: Event) -> Event:
    """Values without line ends and control characters; a traceback alone keeps its lines."""
    del logger, name
    return {
        key: printable(value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }
