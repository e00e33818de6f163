"""
`rotator rotate`: a planned rotation ahead of time.

It is `--once` for one keyset whose key in use is replaced now. Everything else is as usual: lead,
overlap, calendar, hold, mode, the two looks, the gates, the confirmation.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from rotator.commands.agreement import agrees
from rotator.commands.check import exit_on_error
from rotator.commands.once import settle, written
from rotator.commands.one_shot import Call, OneShot
from rotator.commands.report import print_json, print_table
from rotator.core.outcome import Exit, Failed, Outcome, Planned, Rotated
from rotator.core.policy import RotationPolicy
from rotator.core.reasons import MEANINGS, Reason
from rotator.core.text import format_instant
from rotator.service.inbox import heed_signals
from rotator.views.report_json import document
from rotator.views.table import table


def rotate(call: Call, *, is_agreed: bool, only_plan: bool) -> int:
    """
    Print the plan, ask for the keyset's name unless that *is_agreed*, and carry the plan out.

    only_plan: end after the plan

    Returns:
        0 if the key was generated, or only planned; 1 if nothing was generated.

    """
    with exit_on_error():
        run = OneShot(call, dry_run=only_plan, revise=_ahead_of_time)
        only_plan = only_plan or run.settings.dry_run
        outcomes = run.sweep()
        (outcome,) = outcomes
        if not isinstance(outcome, Planned):
            print(f"rotator: nothing is generated: {_why_not(outcome)}", file=sys.stderr)
        elif not call.as_json:
            print_table(run.program, table, outcomes, run.began)
        if only_plan or not isinstance(outcome, Planned):
            return _report(run, call, outcomes, only_plan=only_plan)
        if not (is_agreed or agrees(outcome.observation.policy.keyset_id)):
            return Exit.FAILED
        heed_signals(run.stop)
        settle(run, outcomes)
        outcomes = run.finish()
        if run.is_stopping:
            print(written(outcomes), file=sys.stderr)
        return _report(run, call, outcomes, only_plan=False)


def _ahead_of_time(policy: RotationPolicy, now: datetime) -> RotationPolicy:
    return replace(policy, replace_since=now)


def _report(run: OneShot, call: Call, outcomes: Sequence[Outcome], *, only_plan: bool) -> int:
    if call.as_json:
        print_json(run.program, document(outcomes, run.began, dry_run=only_plan))
    elif not (only_plan and isinstance(outcomes[0], Planned)):
        print_table(run.program, table, outcomes, run.began)
    is_done = isinstance(outcomes[0], Planned if only_plan else Rotated)
    return Exit.OK if is_done else Exit.FAILED


def _why_not(outcome: Outcome) -> str:
    """Why no key is planned for a keyset whose key in use is to be replaced."""
    if isinstance(outcome, Failed):
        return outcome.failure.message
    assessment = outcome.observation.assessment
    if outcome.reason is Reason.NOT_DUE and assessment is not None and assessment.covered_until is not None:
        until = format_instant(assessment.covered_until)
        return f"a key that is to take over is there already, and serves until {until}"
    return MEANINGS[outcome.reason].replace("`", "")
