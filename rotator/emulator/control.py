"""
The control endpoints: what tests in other processes, and curious people, do with it.

JSON over the same HTTPS, below ``/_emulator``::

    GET    /                                  where everything is, the time, the tenants
    GET    /faults                            the faults at work
    POST   /faults                            inject one: the members of `Fault`
    DELETE /faults                            remove all
    DELETE /faults/{number}                   remove one
    POST   /faults/{number}/release           let go what hangs on it
    GET    /requests?operation=               what was asked
    DELETE /requests                          forget it
    GET    /wait?operation=&stage=&count=&timeout=    wait until so many got so far
    GET    /errors                            bugs of the emulator
    GET    /clock                             the emulated time
    PUT    /clock                             {"offset": seconds} or {"now": instant}
    GET    /tenants/{tenant}/switches         how a tenant answers
    PATCH  /tenants/{tenant}/switches         turn some
    GET    /tenants/{tenant}/keysets          every keyset, with its keys
    GET    /tenants/{tenant}/keysets/{id}?start=&end=  one, with history, gaps and signers
    POST   /tenants/{tenant}/keysets/{id}/keys         add a key, as a person does
    PATCH  /tenants/{tenant}/keysets/{id}/keys/{kid}   {"status": "disabled"}, as a person

Instants are epoch seconds; where one is given, every spelling of values.py will do.
Whoever reaches the port may do all of this: there is nothing real to protect.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from rotator.emulator.answers import Answer, Request, json_answer
from rotator.emulator.control_bodies import (
    event_body,
    injected_body,
    key_body,
    plain,
    read_body,
    read_choice,
    read_number,
    refused,
)
from rotator.emulator.directory import Directory
from rotator.emulator.faults import Fault, FaultError, FaultTable, Injected
from rotator.emulator.journal import Journal, Seen, Stage, has_reached
from rotator.emulator.keys import active_key
from rotator.emulator.keysets import Keyset, ModelError
from rotator.emulator.model import Tenant
from rotator.emulator.operations import Operation
from rotator.emulator.routes import CONTROL_ROOT
from rotator.emulator.seed import KeySeed, SeedError
from rotator.emulator.switches import Status, SwitchError
from rotator.emulator.values import ValueMistakeError, parse_instant, typed_members

Arguments = Mapping[str, Any]
_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Control:
    """Answers control requests."""

    directory: Directory
    faults: FaultTable
    journal: Journal
    on_change: Callable[[], None]

    def __call__(self, request: Request) -> Answer:
        """
        Do what is asked.

        Raises:
            RefusedError: with one line that says what is wrong.

        """
        path = request.path.removeprefix(CONTROL_ROOT) or "/"
        try:
            handler, arguments = _MAP.match(path, request.method)
            return json_answer(handler(self, request, arguments))
        except MethodNotAllowed:
            raise refused(405, f"{request.method} does nothing at {request.path}") from None
        except NotFound:
            raise refused(404, f"there is nothing at {request.path}") from None
        except ModelError as error:
            raise refused(409, f"{type(error).__name__}: {error}") from error
        except (ValueMistakeError, SwitchError, FaultError, SeedError) as error:
            raise refused(400, str(error)) from error

    # --- what is there

    def overview(self, request: Request, _: Arguments) -> object:
        tenants = [
            {
                "id": tenant.id,
                "domain": tenant.domain,
                "apps": [app.client_id for app in tenant.apps.values()],
                "keysets": [keyset.id for keyset in tenant.all_keysets() if keyset.exists],
                "policies": {name: list(ids) for name, ids in tenant.policies.items()},
            }
            for tenant in self.directory.tenants
        ]
        return {"url": request.origin, "now": self.directory.now(), "tenants": tenants}

    def requests(self, request: Request, _: Arguments) -> object:
        wanted = request.query.get("operation")
        operation = read_choice(Operation, "operation", wanted) if wanted else None
        return {
            "requests": [
                asdict(seen) for seen in self.journal.requests if operation is None or seen.operation is operation
            ]
        }

    def forget(self, _: Request, __: Arguments) -> object:
        self.journal.clear()
        return {"requests": []}

    def errors(self, _: Request, __: Arguments) -> object:
        return {"errors": list(self.journal.errors)}

    def wait(self, request: Request, _: Arguments) -> object:
        query = request.query
        operation = read_choice(Operation, "operation", query.get("operation", ""))
        stage = read_choice(Stage, "stage", query.get("stage", Stage.ARRIVED))
        count = int(read_number(query, "count", 1))
        timeout = min(read_number(query, "timeout", 10), _LONGEST_WAIT)

        def reached(requests: tuple[Seen, ...]) -> bool:
            found = [seen for seen in requests if seen.operation is operation and has_reached(seen, stage)]
            return len(found) >= count

        return {"reached": self.journal.wait(reached, timeout)}

    # --- faults

    def list_faults(self, _: Request, __: Arguments) -> object:
        return {"faults": [injected_body(injected) for injected in self.faults.active]}

    def inject(self, request: Request, _: Arguments) -> object:
        members = typed_members(Fault, read_body(request))
        if "what" not in members:
            msg = "what: is missing"
            raise FaultError(msg)
        return injected_body(self.faults.inject(Fault(**members)))

    def remove_faults(self, _: Request, __: Arguments) -> object:
        self.faults.clear()
        return {"faults": []}

    def remove_fault(self, _: Request, arguments: Arguments) -> object:
        injected = self._injected(arguments)
        injected.remove()
        return injected_body(injected)

    def release_fault(self, _: Request, arguments: Arguments) -> object:
        injected = self._injected(arguments)
        injected.release()
        return injected_body(injected)

    # --- time

    def clock(self, _: Request, __: Arguments) -> object:
        return {"now": self.directory.now(), "offset": self.directory.offset}

    def set_clock(self, request: Request, _: Arguments) -> object:
        data = read_body(request)
        match data:
            case {"offset": int() | float() as offset, **rest} if not rest:
                self.directory.offset = float(offset)
            case {"now": instant, **rest} if not rest:
                wanted = parse_instant(instant, self.directory.now())
                self.directory.offset += wanted - self.directory.now()
            case _:
                raise refused(400, 'say {"offset": seconds} or {"now": instant}')
        self.on_change()
        return {"now": self.directory.now(), "offset": self.directory.offset}

    # --- tenants

    def switches(self, _: Request, arguments: Arguments) -> object:
        return asdict(self._tenant(arguments).switches)

    def turn(self, request: Request, arguments: Arguments) -> object:
        return asdict(self._tenant(arguments).switch(**read_body(request)))

    def keysets(self, _: Request, arguments: Arguments) -> object:
        tenant = self._tenant(arguments)
        return {"keysets": [self._keyset_body(tenant, each) for each in tenant.all_keysets()]}

    def keyset(self, request: Request, arguments: Arguments) -> object:
        tenant = self._tenant(arguments)
        keyset = self._keyset(tenant, arguments)
        now = self.directory.now()
        start = parse_instant(plain(request.query.get("start", "now")), now)
        end = parse_instant(plain(request.query.get("end", "now+52w")), now)
        return {
            **self._keyset_body(tenant, keyset),
            "history": [event_body(event) for event in tuple(keyset.events)],
            "gaps": [asdict(gap) for gap in tenant.gaps(keyset.id, start, end)],
            "signers": [asdict(signer) for signer in tenant.signers(keyset.id, start, end)],
        }

    def add_key(self, request: Request, arguments: Arguments) -> object:
        tenant = self._tenant(arguments)
        data, now = read_body(request), self.directory.now()
        for name in ("nbf", "exp"):
            if data.get(name) is not None:
                data[name] = parse_instant(data[name], now)
        seed = KeySeed(**typed_members(KeySeed, data))
        return key_body(tenant.add_key(self._keyset(tenant, arguments).id, seed))

    def set_status(self, request: Request, arguments: Arguments) -> object:
        tenant = self._tenant(arguments)
        status = read_choice(Status, "status", read_body(request).get("status", ""))
        keyset = self._keyset(tenant, arguments)
        return key_body(tenant.set_status(keyset.id, arguments["kid"], status))

    # --- inside

    def _tenant(self, arguments: Arguments) -> Tenant:
        tenant = self.directory.find(arguments["tenant"])
        if tenant is None:
            raise refused(404, f"there is no tenant {arguments['tenant']}")
        return tenant

    def _keyset(self, tenant: Tenant, arguments: Arguments) -> Keyset:
        for keyset in tenant.all_keysets():
            if keyset.id == arguments["keyset"]:
                return keyset
        raise refused(404, f"there is no keyset {arguments['keyset']}")

    def _injected(self, arguments: Arguments) -> Injected:
        for injected in self.faults.active:
            if injected.number == arguments["number"]:
                return injected
        raise refused(404, f"there is no fault {arguments['number']}")

    def _keyset_body(self, tenant: Tenant, keyset: Keyset) -> dict[str, object]:
        active = active_key(keyset.keys, self.directory.now(), tenant.switches.tie_break)
        return {
            "id": keyset.id,
            "exists": keyset.exists,
            "active_kid": active.kid if active else None,
            "keys": [key_body(key) for key in keyset.keys],
        }


_TENANT = "/tenants/<tenant>"
_KEYSET = f"{_TENANT}/keysets/<path:keyset>"
_MAP = Map(
    [
        Rule("/", endpoint=Control.overview, methods=["GET"]),
        Rule("/faults", endpoint=Control.list_faults, methods=["GET"]),
        Rule("/faults", endpoint=Control.inject, methods=["POST"]),
        Rule("/faults", endpoint=Control.remove_faults, methods=["DELETE"]),
        Rule("/faults/<int:number>", endpoint=Control.remove_fault, methods=["DELETE"]),
        Rule("/faults/<int:number>/release", endpoint=Control.release_fault, methods=["POST"]),
        Rule("/requests", endpoint=Control.requests, methods=["GET"]),
        Rule("/requests", endpoint=Control.forget, methods=["DELETE"]),
        Rule("/errors", endpoint=Control.errors, methods=["GET"]),
        Rule("/wait", endpoint=Control.wait, methods=["GET"]),
        Rule("/clock", endpoint=Control.clock, methods=["GET"]),
        Rule("/clock", endpoint=Control.set_clock, methods=["PUT"]),
        Rule(f"{_TENANT}/switches", endpoint=Control.switches, methods=["GET"]),
        Rule(f"{_TENANT}/switches", endpoint=Control.turn, methods=["PATCH"]),
        Rule(f"{_TENANT}/keysets", endpoint=Control.keysets, methods=["GET"]),
        Rule(_KEYSET, endpoint=Control.keyset, methods=["GET"]),
        Rule(f"{_KEYSET}/keys", endpoint=Control.add_key, methods=["POST"]),
        Rule(f"{_KEYSET}/keys/<kid>", endpoint=Control.set_status, methods=["PATCH"]),
    ],
    strict_slashes=False,
    merge_slashes=False,
).bind("localhost")
