"""
The control endpoints, for tests in other processes and for people who run `rotator emulator`.

JSON over the same HTTPS, below ``/_emulator``; `_ENDPOINTS` at the end of the module says
what there is.

Instants are epoch seconds; a request may use every spelling of validation.py.
There is no authentication, because the emulator has nothing to protect. But web pages in a browser of the
same machine must not use it: a body must have the content type JSON, which a page of another origin
cannot send without a preflight, and requests with a foreign Origin are refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from rotator.emulator.control_forms import CHANGES, CLOCK, FAULT, KEY_SEED, QUERY, STATUS
from rotator.emulator.control_page import Page
from rotator.emulator.faults.fault import FaultTable, Injected
from rotator.emulator.http.answers import Answer, RefusedError, Request, json_answer
from rotator.emulator.http.routes import CONTROL_ROOT
from rotator.emulator.journal import Journal, matching
from rotator.emulator.model.keys import active_key
from rotator.emulator.model.keysets import Keyset, ModelError, event_json, key_json
from rotator.emulator.model.tenants import Directory, Tenant
from rotator.emulator.validation import InvalidError, Source, parse_instant

Arguments = Mapping[str, Any]
T = TypeVar("T")
_MAX_WAIT_SECONDS = 60.0
MAX_INSTANT = 253_370_764_799  # epoch seconds: the end of 9998, so that a day more is still a date


@dataclass(frozen=True, slots=True)
class Control:
    """Answers control requests."""

    directory: Directory
    faults: FaultTable
    journal: Journal
    ca_file: Path

    def __call__(self, request: Request) -> Answer:
        """Answer *request*. Raises: RefusedError, with one line that says what is wrong."""
        path = request.path.removeprefix(CONTROL_ROOT) or "/"
        _check_client(request)
        try:
            handler, arguments = _MAP.match(path, request.method)
            if handler is Control.overview and "text/html" in request.headers.get("accept", ""):
                page = Page(url=request.origin, ca_file=self.ca_file, tenants=self.directory.tenants)
                return page.answer(self.faults.active)
            return json_answer(handler(self, request, arguments))
        except MethodNotAllowed:
            raise _refused(405, f"{request.method} is not allowed at {request.path}") from None
        except NotFound:
            raise _refused(404, f"there is nothing at {request.path}") from None
        except ModelError as error:
            raise _refused(409, f"{type(error).__name__}: {error}") from error
        except InvalidError as error:
            raise _refused(400, str(error)) from error

    def overview(self, request: Request, _: Arguments) -> object:
        tenants = [
            {
                "id": tenant.id,
                "domain": tenant.domain,
                "policies": dict(tenant.policies),
                "apps": [app.client_id for app in tenant.apps.values()],
                "keysets": [keyset.id for keyset in tenant.all_keysets() if keyset.exists],
            }
            for tenant in self.directory.tenants
        ]
        return {"url": request.origin, "now": self.directory.now(), "tenants": tenants}

    def requests(self, request: Request, _: Arguments) -> object:
        query = QUERY.read(request.query)
        return {"requests": [asdict(seen) for seen in matching(self.journal.requests, query.operation, query.stage)]}

    def forget(self, request: Request, arguments: Arguments) -> object:
        self.journal.clear()
        return self.requests(request, arguments)

    def wait(self, request: Request, _: Arguments) -> object:
        query = QUERY.read(request.query)
        if query.operation is None:
            raise InvalidError("operation: is missing")
        reached = self.journal.wait(
            lambda requests: len(matching(requests, query.operation, query.stage)) >= query.count,
            min(query.timeout, _MAX_WAIT_SECONDS),
        )
        return {"reached": reached}

    def list_faults(self, _: Request, __: Arguments) -> object:
        return {"faults": [_injected_body(injected) for injected in self.faults.active]}

    def inject(self, request: Request, _: Arguments) -> object:
        return _injected_body(self.faults.inject(FAULT.read(request.body or b"{}")))

    def remove_faults(self, request: Request, arguments: Arguments) -> object:
        self.faults.clear()
        return self.list_faults(request, arguments)

    def end_fault(self, request: Request, arguments: Arguments) -> object:
        wanted = arguments["number"]
        injected = _one((each for each in self.faults.active if each.number == wanted), f"fault {wanted}")
        if request.method == "DELETE":
            injected.remove()
        else:
            injected.release()
        return _injected_body(injected)

    def clock(self, _: Request, __: Arguments) -> object:
        return {"now": self.directory.now(), "offset": self.directory.offset}

    def set_clock(self, request: Request, arguments: Arguments) -> object:
        now, before = self.directory.now(), self.directory.offset
        wanted = CLOCK.read(request.body or b"{}", Source(now=now))
        offset = before + wanted.now - now if wanted.now is not None else wanted.offset or 0.0
        if not 0 <= now - before + offset <= MAX_INSTANT:
            raise InvalidError(f"{'now' if wanted.offset is None else 'offset'}: the clock would leave 1970 to 9998")
        self.directory.offset = offset
        self.directory.on_commit()
        return self.clock(request, arguments)

    def switches(self, request: Request, arguments: Arguments) -> object:
        return asdict(self._tenant(arguments).switch(**CHANGES.read(request.body or b"{}")))

    def keysets(self, _: Request, arguments: Arguments) -> object:
        tenant = self._tenant(arguments)
        return {"keysets": [self._keyset_body(tenant, each) for each in tenant.all_keysets()]}

    def keyset(self, request: Request, arguments: Arguments) -> object:
        tenant = self._tenant(arguments)
        keyset = self._keyset(tenant, arguments)
        start, end = (self._instant(request, name, default) for name, default in (("start", "now"), ("end", "now+52w")))
        return {
            **self._keyset_body(tenant, keyset),
            "history": [event_json(event) for event in tuple(keyset.events)],
            "gaps": [asdict(gap) for gap in tenant.gaps(keyset.id, start, end)],
            "signers": [asdict(signer) for signer in tenant.signers(keyset.id, start, end)],
        }

    def add_key(self, request: Request, arguments: Arguments) -> object:
        tenant = self._tenant(arguments)
        seed = KEY_SEED.read(request.body or b"{}", Source(now=self.directory.now()))
        return key_json(tenant.add_key(self._keyset(tenant, arguments).id, seed))

    def set_status(self, request: Request, arguments: Arguments) -> object:
        tenant = self._tenant(arguments)
        status = STATUS.read(request.body or b"{}").status
        return key_json(tenant.set_status(self._keyset(tenant, arguments).id, arguments["kid"], status))

    def _tenant(self, arguments: Arguments) -> Tenant:
        found = self.directory.find(arguments["tenant"])
        return _one([found] if found else [], f"tenant {arguments['tenant']}")

    def _keyset(self, tenant: Tenant, arguments: Arguments) -> Keyset:
        wanted = arguments["keyset"]
        return _one((each for each in tenant.all_keysets() if each.id == wanted), f"keyset {wanted}")

    def _instant(self, request: Request, name: str, default: str) -> int:
        text = request.query.get(name, default)
        return parse_instant(int(text) if text.isdecimal() else text, self.directory.now())

    def _keyset_body(self, tenant: Tenant, keyset: Keyset) -> dict[str, object]:
        active = active_key(keyset.keys, self.directory.now(), tenant.switches.tie_break)
        keys = [key_json(key) for key in keyset.keys]
        active_kid = active.kid if active else None
        return {"id": keyset.id, "exists": keyset.exists, "active_kid": active_kid, "keys": keys}


def _check_client(request: Request) -> None:
    origin, kind = request.headers.get("origin"), request.headers.get("content-type", "")
    if origin is not None and origin != request.origin:
        raise _refused(403, "requests from a page of another origin are refused")
    if request.body and kind.partition(";")[0].strip().lower() != "application/json":
        raise _refused(415, "the body must be JSON; send the header Content-Type: application/json")


def _refused(status: int, message: str) -> RefusedError:
    return RefusedError(status, "EmulatorControl", message)


def _one(candidates: Iterable[T], what: str) -> T:
    for found in candidates:
        return found
    raise _refused(404, f"there is no {what}")


def _injected_body(injected: Injected) -> dict[str, Any]:
    return {"number": injected.number, "hits": injected.hits, **asdict(injected.fault)}


_TENANT = "/tenants/<tenant>"
_KEYSET = f"{_TENANT}/keysets/<path:keyset>"
_ENDPOINTS = (
    ("GET", "/", Control.overview),  # where everything is, the time, the tenants; a page where HTML is accepted
    ("GET", "/faults", Control.list_faults),  # the active faults
    ("POST", "/faults", Control.inject),  # inject one: the members of `Fault`
    ("DELETE", "/faults", Control.remove_faults),
    ("DELETE", "/faults/<int:number>", Control.end_fault),
    ("POST", "/faults/<int:number>/release", Control.end_fault),  # requests that hang on it go on
    ("GET", "/requests", Control.requests),  # ?operation=&stage=
    ("DELETE", "/requests", Control.forget),
    ("GET", "/wait", Control.wait),  # ?operation=&stage=&count=&timeout=: until so many got so far
    ("GET", "/errors", lambda control, *_: {"errors": list(control.journal.errors)}),  # bugs of the emulator
    ("GET", "/clock", Control.clock),  # the emulated time
    ("PUT", "/clock", Control.set_clock),  # {"offset": seconds} or {"now": instant}
    ("GET", f"{_TENANT}/switches", Control.switches),  # how a tenant answers
    ("PATCH", f"{_TENANT}/switches", Control.switches),  # the members of `Switches` that change
    ("GET", f"{_TENANT}/keysets", Control.keysets),  # every keyset, with its keys
    ("GET", _KEYSET, Control.keyset),  # ?start=&end=: one, with history, gaps and signers
    ("POST", f"{_KEYSET}/keys", Control.add_key),  # as a person does: the members of `KeySeed`
    ("PATCH", f"{_KEYSET}/keys/<kid>", Control.set_status),  # as a person does: {"status": "disabled"}
)
_MAP = Map(
    [Rule(path, endpoint=handler, methods=[method]) for method, path, handler in _ENDPOINTS],
    strict_slashes=False,
    merge_slashes=False,
).bind("localhost")
