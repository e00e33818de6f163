"""
A visit to one tenant: the requests, and the steps that follow from the answers.

A visit either *looks* at all keysets of the tenant with one request, or *acts*: it looks for
requested keys, with one request for all of them, and then requests the keys that are due, each
right after another look at its keyset. Only `core.lifecycle` decides what follows from an answer.
"""

from collections.abc import Callable
from dataclasses import replace

from rotator.core.events import Event, InventoryTaken, KeysetCreated, Looked
from rotator.core.inventory import Listed, take
from rotator.core.lifecycle import advance, enabled, generated, given_up, not_generated, refused
from rotator.core.look import Look, failed, judge
from rotator.core.outcome import Observation, Outcome, Planned
from rotator.core.reasons import Reason, Refusal
from rotator.core.stages import Ask, Asked, Called, Enable, Progress, Step, is_preliminary
from rotator.shell.agenda import Agenda
from rotator.shell.clock import Clock
from rotator.shell.snapshot import Snapshot
from rotator.shell.tenant import Tenant


class Visit:
    """Visits one tenant under one snapshot; the thread of the visit owns the agenda meanwhile."""

    def __init__(
        self,
        agenda: Agenda,
        snapshot: Snapshot,
        *,
        objection: Callable[[], Refusal | None],
        clock: Clock,
        jitter: Callable[[], float],
        tell: Callable[[Event], None],
    ) -> None:
        """*objection* returns why nothing may be written any more; None while the snapshot is the current one."""
        self._agenda = agenda
        self._snapshot = snapshot
        self._objection = objection
        self._clock = clock
        self._jitter = jitter
        self._tell = tell

    @property
    def _tenant(self) -> Tenant:
        return self._agenda.tenant

    def look(self) -> list[Outcome]:
        """Look at every keyset with one request. Keys are requested by `act` only."""
        keysets = tuple(self._agenda.progress)
        steps = self._list(keysets, self._tenant.max_others)
        return [outcome for step in steps if (outcome := self._take(step)) is not None]

    def act(self) -> None:
        """Look for requested keys, and request those that are due."""
        self.look_for_keys()
        for progress in tuple(self._agenda.progress.values()):
            if self._clock.is_stopping or self._objection() is not None:
                return
            if isinstance(progress.stage, Called) and self._is_due(progress):
                self._rotate(progress)

    def look_for_keys(self, *, is_urgent: bool = False) -> None:
        """
        Look for all requested keys if the next look for any of them is due, or if it *is_urgent*.

        The first look uses one request for all keysets; keysets that do not show their key are then read one by one.
        """
        asked = {
            each: progress.stage
            for each, progress in self._agenda.progress.items()
            if isinstance(progress.stage, Asked)
        }
        if not any(is_urgent or self._is_due(self._agenda.progress[each]) for each in asked):
            return
        first = tuple(each for each, stage in asked.items() if stage.looks == 0)
        together = first if len(first) > 1 else ()
        steps = self._list(together) if together else []
        steps += [self._fetch(self._agenda.progress[each]) for each in asked if each not in together]
        for step in steps:
            self._take(step)

    def give_up(self) -> None:
        """Report the outcome of each rotation that is not finished."""
        for progress in tuple(self._agenda.progress.values()):
            self._take(given_up(progress, self._clock.monotonic(), self._snapshot.timing))

    def _is_due(self, progress: Progress) -> bool:
        at = progress.act_at(self._snapshot.timing)
        return at is not None and at <= self._clock.monotonic()

    # --- looks

    def _list(self, keyset_ids: tuple[str, ...], max_others: int = 0) -> list[Step]:
        sight_now = self._clock.now()
        found: Listed | None = None
        error: Exception | None = None
        try:
            found = self._tenant.keysets.list_keysets(keyset_ids, max_others)
        except Exception as raised:  # noqa: BLE001 - a bug is a failure of this tenant only
            error = raised
        at = self._clock.monotonic()
        steps = []
        for keyset_id in keyset_ids:
            progress = self._agenda.progress[keyset_id]
            has_backup = found is not None and found.has_backup(keyset_id)
            observation = replace(self._observation(progress), now=sight_now, has_backup=has_backup)
            there = error if found is None else found.wanted.get(keyset_id)
            look = judge(observation, there, progress.minimum_lead, was_seen=progress.was_seen)
            was_seen = progress.was_seen or (found is not None and keyset_id in found.wanted)
            steps.append(self._advanced(replace(progress, was_seen=was_seen), look, at))
        if found is not None and max_others:
            self._tell(InventoryTaken(inventory=take(self._tenant.name, self._tenant.id, found, sight_now)))
        return steps

    def _fetch(self, progress: Progress) -> Step:
        observation = self._observation(progress)
        try:
            keyset = self._tenant.keysets.fetch(progress.policy.keyset_id)
        except Exception as error:  # noqa: BLE001 - a bug is a failure of this keyset only
            look: Look = failed(observation, error)
        else:
            look = judge(replace(observation, now=self._clock.now()), keyset, progress.minimum_lead)
            progress = replace(progress, was_seen=True)
        return self._advanced(progress, look, self._clock.monotonic())

    def _observation(self, progress: Progress) -> Observation:
        stage = progress.stage
        policy = stage.planned.observation.policy if isinstance(stage, Asked) else progress.policy
        return Observation(tenant=self._tenant.name, tenant_id=self._tenant.id, policy=policy, now=self._clock.now())

    # --- requests that change something

    def _rotate(self, progress: Progress) -> None:
        """
        Make the second look, and then the write if the look confirms it.

        A missing keyset is looked for in the list, which shows its backup as well.
        """
        is_missing = isinstance(progress.stage, Called) and progress.stage.reason is Reason.MISSING
        step = self._list((progress.policy.keyset_id,))[0] if is_missing else self._fetch(progress)
        if isinstance(step.action, Ask):
            step = self._ask(step.progress, step.action.planned)
        self._take(step)

    def _ask(self, progress: Progress, planned: Planned) -> Step:
        """Request the key if no gate objects."""
        timing = self._snapshot.timing
        try:
            self._tenant.keysets.prepare()
        except Exception as error:  # noqa: BLE001 - as above
            return not_generated(progress, planned, error, self._clock.monotonic(), timing, self._jitter)
        with self._tenant.writing(planned) as gate:
            objection = self._objection() or gate
            if objection is not None:
                return refused(progress, planned, objection, self._clock.monotonic(), timing)
            step = self._send(progress, planned)
            self._keep(step.progress)  # before the write counts as ended: from here on the stage shows the request
            return step

    def _send(self, progress: Progress, planned: Planned) -> Step:
        timing = self._snapshot.timing
        keyset_id, kid = planned.observation.policy.keyset_id, None
        try:
            if planned.reason is Reason.MISSING:
                self._tenant.keysets.create(keyset_id)
            else:
                kid = self._tenant.keysets.generate(keyset_id, planned.spec)
        except Exception as error:  # noqa: BLE001 - as above
            return not_generated(progress, planned, error, self._clock.monotonic(), timing, self._jitter)
        return generated(progress, planned, kid, self._clock.monotonic())

    def _enable(self, progress: Progress, kid: str) -> Progress:
        error: Exception | None = None
        try:
            self._tenant.keysets.enable(progress.policy.keyset_id, kid)
        except Exception as raised:  # noqa: BLE001 - as above
            error = raised
        return enabled(progress, error, self._clock.monotonic())

    # --- what follows

    def _advanced(self, progress: Progress, look: Look, at: float) -> Step:
        return advance(progress, look, at, self._snapshot.timing)

    def _take(self, step: Step) -> Outcome | None:
        """Store the progress of the keyset, carry out the action of *step*, and report the outcome."""
        progress = step.progress
        keyset_id = progress.policy.keyset_id
        if self._agenda.progress[keyset_id].is_creating and step.outcome and step.outcome.observation.keyset:
            self._tell(KeysetCreated(tenant=self._tenant.name, keyset=keyset_id))
        self._keep(progress)
        if isinstance(step.action, Enable):
            self._keep(self._enable(progress, step.action.kid))
        if step.outcome is not None:
            preliminary = is_preliminary(step.outcome, self._snapshot.timing)
            self._tell(Looked(outcome=step.outcome, is_preliminary=preliminary, failures=progress.failures))
        return step.outcome

    def _keep(self, progress: Progress) -> None:
        self._agenda.keep(progress)
