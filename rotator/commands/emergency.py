"""
`rotator rotate --now` and `--compromised`: the key in use is replaced at once.

The only command that can disable a key.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rotator.commands.agreement import agrees
from rotator.commands.check import exit_on_error
from rotator.commands.one_shot import Call
from rotator.core.emergency import Order, objection
from rotator.core.emergency_report import Ending, Report, ending_of
from rotator.core.errors import RequestError
from rotator.core.keyset import Keyset
from rotator.core.text import printable
from rotator.edges.emergency_keysets import EmergencyKeysets
from rotator.edges.stdout import say
from rotator.service.inbox import heed_signals
from rotator.shell.emergency import Emergency
from rotator.shell.tenant import Tenant
from rotator.views import emergency as views
from rotator.wiring import Program, wire


def replace_now(call: Call, compromised: Sequence[str], *, is_agreed: bool, only_plan: bool) -> int:
    """
    Print the plan and its impact, ask for the keyset's name unless that *is_agreed*, and carry the plan out.

    compromised: the keys to disable once another one signs; empty: none, and the key in use is replaced

    Returns:
        The exit code: an `Ending`.

    """
    clients: list[EmergencyKeysets] = []

    def client(*arguments: Any, **options: Any) -> EmergencyKeysets:  # noqa: ANN401 - those of `GraphKeysets`
        clients.append(EmergencyKeysets(*arguments, **options))
        return clients[-1]

    with exit_on_error():
        program = wire(call.path, revise=call.selection.of, for_table=not call.as_json, keysets=client)
        (tenant,) = program.tenants(program.settings)
    out = _Out(program, as_json=call.as_json)
    (policy,) = tenant.policies
    try:
        keyset = tenant.keysets.fetch(policy.keyset_id)
    except RequestError as error:
        out.complain(error.failure.message)
        return Ending.NOTHING_CHANGED
    now = program.clock.now()
    active = keyset.active(now)
    in_use = frozenset({active.kid}) if active is not None and active.kid else frozenset[str]()
    order = Order(policy=policy, replaced=frozenset(compromised) or in_use, disables=bool(compromised))
    if (refusal := objection(order, keyset)) is not None:
        out.complain(refusal.why)
        return ending_of(order, None, asked=False, refusal=refusal)
    out.plan(order, keyset)
    if only_plan or program.settings.dry_run:
        return Ending.DONE
    if not (is_agreed or agrees(policy.keyset_id)):
        return Ending.NOTHING_CHANGED
    heed_signals(program.clock.stop)
    ending = _emergency(program, tenant, clients[0], order, out).run()
    out.after(order, ending)
    return ending


def _emergency(program: Program, tenant: Tenant, client: EmergencyKeysets, order: Order, out: "_Out") -> Emergency:
    return Emergency(
        order,
        tenant=(tenant.name, tenant.id),
        keysets=tenant.keysets,
        client=client,
        sign_in=tenant.sign_in,
        writing=tenant.writing,
        clock=program.clock,
        jitter=program.jitter,
        on_step=out.step,
    )


class _Out:
    """What is printed, redacted: lines for people, or one JSON object a line; each step is logged, too."""

    def __init__(self, program: Program, *, as_json: bool) -> None:
        self._program = program
        self._as_json = as_json

    def plan(self, order: Order, keyset: Keyset) -> None:
        now = self._program.clock.now()
        if self._as_json:
            self._say(json.dumps(views.plan_json(order, keyset, now)))
        else:
            self._lines(views.plan(order, keyset, now))

    def step(self, report: Report) -> None:
        row = views.step_json(report)
        self._say(json.dumps(row) if self._as_json else printable(views.line(report)))
        data = {name: row[name] for name in ("step", "elapsed_seconds", "safe_to_stop", "kid", "message", "exit_code")}
        self._program.log.info("emergency.step", **data)

    def after(self, order: Order, ending: Ending) -> None:
        if not self._as_json:
            self._lines(views.after(order, ending))

    def complain(self, why: str) -> None:
        print(self._program.redactor.redact(printable(f"rotator: {why}")), file=sys.stderr)

    def _lines(self, lines: Iterable[str]) -> None:
        for each in lines:
            self._say(printable(each))

    def _say(self, text: str) -> None:
        say(self._program.redactor.redact(text))
