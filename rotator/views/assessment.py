"""
The state of a keyset at the instant at which a report or a page is rendered.

The last look may be an hour old. Its decision is made again here for now, so that a key
that has expired since then, or a look that is too old, is shown correctly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.core.keyset import Keyset
from rotator.core.outcome import Failed, Held, Planned
from rotator.core.policy import Mode
from rotator.core.reasons import Refusal
from rotator.core.retry import next_look
from rotator.core.rotation import Decision, decide
from rotator.core.status import KeysetStatus
from rotator.views.certificates import certificate_text
from rotator.views.condition import Condition, Level
from rotator.views.conditions import all_clear, conditions
from rotator.views.phrases import (
    CALENDAR,
    COVERED_UNTIL,
    DUE,
    FALLS_SHORT,
    LOCAL_TIME,
    PUBLISH_BY,
    TAKES_OVER,
    describe,
    falls_short,
    is_open_now,
    remaining,
    rounded,
    takes_over,
)
from rotator.views.proof import PROOF, proof_sentence
from rotator.views.timeline import has_window


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """
    A label with a text and, if the text says how far away an instant is, that instant.

    Example: covered until, in 9d, 2030-01-10T00:00:00Z.
    """

    label: str
    text: str
    instant: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetAssessment:
    """
    A keyset at one instant.

    keyset:     as last seen; None if it was never seen
    decision:   the decision for now; None if *keyset* is None
    conditions: the most serious first, at least one
    """

    entry: KeysetStatus
    now: datetime
    keyset: Keyset | None
    decision: Decision | None
    conditions: tuple[Condition, ...]

    @property
    def level(self) -> Level:
        """The level of the most serious condition."""
        return self.conditions[0].level

    @property
    def label(self) -> str:
        """The labels of the most serious conditions."""
        return ", ".join(condition.label for condition in self.most_serious)

    @property
    def most_serious(self) -> tuple[Condition, ...]:
        """The conditions that need action, the worst first; if there is none, those of the highest level."""
        if not self.level.is_trouble:
            return tuple(condition for condition in self.conditions if condition.level is self.level)
        found = [each for each in self.conditions if each.level.is_trouble]
        return tuple(sorted(found, key=lambda each: _LEVELS.index(each.level)))

    @property
    def kind(self) -> str:
        """The kty, use and mode of the keyset, such as: RSA sig, rotate."""
        policy = self.entry.policy
        return f"{policy.kty} {policy.use}, {policy.mode.value}"

    @property
    def has_no_valid_key(self) -> bool:
        """Whether nobody can sign in; False if the keyset was never seen."""
        return self.decision is not None and self.decision.assessment.active is None

    @property
    def cover_left(self) -> timedelta | None:
        """How long the cover lasts; None if there is none, it has no end, or the keyset was never seen."""
        if self.decision is None:
            return None
        end = self.decision.assessment.covered_until
        return None if end is None else end - self.now

    def time_left(self) -> str:
        """How long the cover lasts, as a phrase."""
        if self.decision is None:
            return "cover is unknown: never seen"
        if self.decision.assessment.active is None:
            return _last_valid(self.keyset, self.now)
        if self.cover_left is not None:
            return f"{rounded(self.cover_left)} left"
        which = "active" if self.decision.assessment.active.exp is None else "last"
        return f"no end: the {which} key has no expiry"

    def facts(self) -> Iterator[Fact]:
        """Cover, and the plan of the next key; nothing before the first look."""
        if self.decision is None:
            if self.entry.outcome is not None:
                yield Fact(label=COVERED_UNTIL, text="unknown: never seen")
            return
        if self.keyset is not None and (certificate := certificate_text(self.keyset)):
            yield Fact(label="certificate", text=certificate)
        assessment, plan = self.decision.assessment, self.decision.assessment.plan
        end = assessment.covered_until
        if end is None:
            text = f"no valid key, {self.time_left()}" if self.has_no_valid_key else self.time_left()
            yield Fact(label=COVERED_UNTIL, text=text)
        else:
            yield self._instant(COVERED_UNTIL, end)
        if has_window(plan):
            yield self._instant(DUE, plan.renewal_due)
            yield self._instant(PUBLISH_BY, plan.publish_by)
            yield self._instant(TAKES_OVER, plan.activation)
            local = takes_over(plan.activation, plan, self.entry.policy)
            if local:
                yield Fact(label=LOCAL_TIME, text=local)
        if (calendar := self.entry.policy.calendar) is not None:
            yield Fact(label=CALENDAR, text=f"{calendar.name}: {is_open_now(calendar, self.now)}")
        if assessment.shortfall:
            yield Fact(label=FALLS_SHORT, text=falls_short(assessment.shortfall))
        yield from self.proof()

    def proof(self) -> Iterator[Fact]:
        """The result of the probes; nothing if the keyset is not probed."""
        found = self.entry.proof(self.now)
        if found is not None:
            since = self.entry.evidence.since if self.entry.evidence is not None else None
            yield Fact(label=PROOF, text=proof_sentence(found, since))

    def last_seen(self) -> Iterator[Fact]:
        """When a look last showed the keyset; nothing if none did."""
        if self.entry.observation is not None:
            yield self._instant("last seen", self.entry.observation.now)

    def failing(self, check_interval: timedelta, next_sweep: datetime | None) -> Iterator[Fact]:
        """
        Since when looks fail, how often, when the next look is, and the request ids for a support case.

        next_sweep: when the next sweep begins; None if that is unknown
        """
        outcome = self.entry.effective_outcome
        if not isinstance(outcome, Failed):
            return
        failure, tried = outcome.failure, outcome.observation.now
        if self.entry.failing_since is not None:
            yield self._instant("failing since", self.entry.failing_since)
        yield Fact(label="tries", text=str(max(self.entry.failures, 1)))
        pause = next_look(failure, max(self.entry.failures, 1), self._cover_left_at(tried), check_interval)
        again = next_sweep if pause is None else tried + pause
        if again is not None and outcome is self.entry.outcome:
            yield self._instant("next look", max(again, self.now))
        ids = (("request id", failure.request_id), ("client request id", failure.client_request_id))
        yield from (Fact(label=label, text=text) for label, text in ids if text)

    def second_look(self, settle: timedelta) -> Iterator[Fact]:
        """When the second look may take place, which is *settle* after the first."""
        if isinstance(self.entry.outcome, Planned):
            yield self._instant("second look at", self.entry.outcome.observation.now + settle)

    def _cover_left_at(self, instant: datetime) -> timedelta | None:
        return None if self.cover_left is None else self.cover_left + (self.now - instant)

    @property
    def is_written(self) -> bool:
        """True if the next key will be generated, as far as is known: the keyset is not held, and does not fail."""
        match self.entry.effective_outcome:
            case Failed() | Held(reason=Refusal.RUNAWAY_GUARD):
                return False
            case _:
                return self.entry.policy.mode is Mode.ROTATE

    def said(self) -> Iterator[str]:
        """Texts about keys from the last outcome that are in no condition."""
        outcome = self.entry.effective_outcome
        if outcome is not None:
            told = {condition.sentence for condition in self.conditions}
            yield from (text for text in describe(outcome) if text not in told)

    def notes(self) -> Iterator[str]:
        """Texts from the last outcome that are in no condition, with the request ids of a failure."""
        yield from self.said()
        outcome = self.entry.effective_outcome
        if isinstance(outcome, Failed) and outcome.failure.request_id:
            yield f"request-id {outcome.failure.request_id}"
        if self.entry.failures > 1:
            yield f"{self.entry.failures} consecutive failures"

    def _instant(self, label: str, instant: datetime) -> Fact:
        return Fact(label=label, text=remaining(instant, self.now), instant=instant)


def assess(entry: KeysetStatus, now: datetime, stale: timedelta, *, dry_run: bool) -> KeysetAssessment:
    """The keyset of *entry* at *now*; *stale* is how old the last look that showed it may be."""
    keyset = entry.observation.keyset if entry.observation is not None else None
    decision = decide(entry.policy, keyset, now) if keyset is not None else None
    found = conditions(entry, keyset, decision, now, stale, dry_run=dry_run)
    ordered = tuple(sorted(found, key=lambda condition: _LEVELS.index(condition.level)))
    return KeysetAssessment(
        entry=entry,
        now=now,
        keyset=keyset,
        decision=decision,
        conditions=ordered or (all_clear(entry, now),),
    )


_LEVELS = tuple(Level)


def _last_valid(keyset: Keyset | None, now: datetime) -> str:
    """When the keyset last had a valid key, as a phrase."""
    keys = keyset.keys if keyset is not None else ()
    ends = [key.expires for key in keys if key.is_usable and key.expires <= now]
    if ends:
        return f"the last one expired {remaining(max(ends), now)}"
    return "none of its keys is valid now" if keys else "it has no keys"
