"""
The Graph side: ``/beta/trustFramework/keySets`` and what is below it.

Endpoints, success statuses and contexts are those of Microsoft's pages on
trustFrameworkKeySet. Whether the caller may ask is checked before (service.py); what
the state does not allow is raised as a ModelError, which has Graph's words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rotator.emulator.graph import key_bodies, uploads
from rotator.emulator.http.answers import GRAPH_JSON, Answer, RefusedError, Request, json_answer
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.keys import Key
from rotator.emulator.model.keysets import KeyMissingError, KeysetMissingError, ModelError, View
from rotator.emulator.model.seed import KEYSET_ID
from rotator.emulator.model.switches import Switches
from rotator.emulator.model.tenants import Tenant

_PREFIX = "B2C_1A_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One request to Graph, of an app that may make it.

    *commits* False: a key is answered but not kept. *shift*: seconds by which the dates
    of a generated key differ from what was asked. Both are faults.
    """

    request: Request
    tenant: Tenant
    client_id: str
    now: float
    keyset: str = ""
    kid: str = ""
    commits: bool = True
    shift: int = 0

    @property
    def switches(self) -> Switches:
        """The current keysets of the tenant."""
        return self.tenant.switches

    def body(self) -> dict[str, Any]:
        """The JSON object in the request. Raises: RefusedError."""
        return key_bodies.read_object(self.request, self.switches)


def answer(operation: Operation, call: Call) -> Answer:
    """Carry out *operation*. Raises: RefusedError, with the status and the code that the service would give."""
    try:
        return _HANDLERS[operation](call)
    except ModelError as error:
        raise _refusal(error, operation, call.switches) from error


def _refusal(error: ModelError, operation: Operation, switches: Switches) -> RefusedError:
    status = error.status if isinstance(error.status, int) else getattr(switches, error.status)
    if not isinstance(error, KeysetMissingError):
        return RefusedError(status, error.code, error.message)
    if operation is Operation.REPLACE_KEYSET:
        return RefusedError(status, "AADB2C95052", "The keyset is not created; use create.")
    return RefusedError(status, switches.missing_keyset_code, error.message)


def _list_keysets(call: Call) -> Answer:
    views = call.tenant.read()
    token = call.request.query.get("$skiptoken")
    if token is not None:
        if not token.isdecimal():
            raise RefusedError(400, "BadRequest", "The skip token is not valid.")
        views = tuple(view for view in views if view.number > int(token))
    size = call.switches.page_size or len(views)
    members: dict[str, object] = {}
    if len(views) > size:
        link = f"{call.request.origin}/beta/trustFramework/keySets?$skiptoken="
        members["@odata.nextLink"] = f"{link}{views[size - 1].number}"
    members["value"] = [_keyset(view, call) for view in views[:size]]
    return _answer(call, "trustFramework/keySets", members)


def _create_keyset(call: Call) -> Answer:
    data = call.body()
    name = data.get("id")
    if not isinstance(name, str) or not name:
        raise key_bodies.bad_parameter("id")
    keyset_id = name if name.startswith(_PREFIX) else f"{_PREFIX}{name}"
    if not KEYSET_ID.fullmatch(keyset_id):
        raise RefusedError(400, "AADB2C90136", f"The keyset id '{name}' is not valid.")
    keys = uploads.parse_jwks(data, call.switches, call.now)
    if call.commits:
        call.tenant.create(keyset_id, keys, by=call.client_id)
    location = f"/trustFramework/keySets('{keyset_id}')"
    return replace(_entity(View(0, keyset_id, keys), call), status=201, headers=(("Location", location),))


def _get_keyset(call: Call) -> Answer:
    return _entity(call.tenant.read_keyset(call.keyset), call)


def _replace_keyset(call: Call) -> Answer:
    keys = uploads.parse_jwks(call.body(), call.switches, call.now)
    keyset = call.tenant.keyset(call.keyset)
    if call.commits:
        call.tenant.replace(keyset.id, keys, by=call.client_id)
    return _entity(View(keyset.number, keyset.id, keys), call)


def _delete_keyset(call: Call) -> Answer:
    keyset = call.tenant.keyset(call.keyset)
    if call.commits:
        call.tenant.delete(keyset.id, by=call.client_id)
    return Answer(status=204)


def _generate_key(call: Call) -> Answer:
    key = key_bodies.parse_generated(call.body(), call.switches, call.now)
    nbf, exp = (None if instant is None else instant + call.shift for instant in (key.nbf, key.exp))
    return _added(call, replace(key, nbf=nbf, exp=exp))


def _get_active_key(call: Call) -> Answer:
    active = call.tenant.active(call.keyset)
    if active is not None and call.switches.active_key_without_kid:
        return json_answer({"kty": active.kty, "use": active.use})
    if active is not None:
        return _single_key(call, active, "microsoft.graph.trustFrameworkKey")
    status = call.switches.no_active_key_status
    if status == 204:
        return Answer(status=204)
    text = f"The key container with id '{call.keyset}' does not have a valid key."
    raise RefusedError(status, "AADB2C90220", text)


def _list_keys(call: Call) -> Answer:
    view = call.tenant.read_keyset(call.keyset)
    return _answer(call, f"trustFramework/keySets('{view.id}')/keys_v2", {"value": _keyset(view, call)["keys"]})


def _get_key(call: Call) -> Answer:
    view = call.tenant.read_keyset(call.keyset)
    for key in view.keys:
        if key.kid == call.kid:
            return _single_key(call, key, f"trustFramework/keySets('{view.id}')/keys_v2/$entity")
    raise KeyMissingError(call.kid)


def _update_key(call: Call) -> Answer:
    status = key_bodies.parse_status(call.body())
    keyset = call.tenant.keyset(call.keyset)
    key = keyset.key(call.kid)
    if call.commits:
        key = call.tenant.set_status(keyset.id, call.kid, status, by=call.client_id)
    if not call.switches.update_answers_key:
        return Answer(status=204)
    return _single_key(call, replace(key, status=status), f"trustFramework/keySets('{keyset.id}')/keys_v2/$entity")


_HANDLERS: Mapping[Operation, Callable[[Call], Answer]] = {
    Operation.LIST_KEYSETS: _list_keysets,
    Operation.CREATE_KEYSET: _create_keyset,
    Operation.GET_KEYSET: _get_keyset,
    Operation.REPLACE_KEYSET: _replace_keyset,
    Operation.DELETE_KEYSET: _delete_keyset,
    Operation.GENERATE_KEY: _generate_key,
    Operation.UPLOAD_SECRET: lambda call: _added(call, uploads.parse_secret(call.body(), call.switches, call.now)),
    Operation.UPLOAD_CERTIFICATE: lambda call: _added(call, uploads.parse_certificate(call.body(), call.switches)),
    Operation.UPLOAD_PKCS12: lambda call: _added(call, uploads.parse_pkcs12(call.body(), call.switches)),
    Operation.GET_ACTIVE_KEY: _get_active_key,
    Operation.LIST_KEYS: _list_keys,
    Operation.GET_KEY: _get_key,
    Operation.UPDATE_KEY: _update_key,
}


def _added(call: Call, key: Key) -> Answer:
    keyset = call.tenant.keyset(call.keyset)
    if call.commits:
        call.tenant.add(keyset.id, key, by=call.client_id)
    made = _single_key(call, key, "microsoft.graph.trustFrameworkKey")
    if call.switches.trailing_comma and isinstance(made.body, bytes):
        return replace(made, body=made.body.removesuffix(b"}") + b",}")
    return made


def _single_key(call: Call, key: Key, fragment: str) -> Answer:
    body = key_bodies.shown(key, call.switches)
    return _answer(call, fragment, {"value": body} if call.switches.single_key_wrapped else body)


def _keyset(view: View, call: Call) -> dict[str, object]:
    return {"id": view.id, "keys": [key_bodies.shown(key, call.switches) for key in view.keys]}


def _entity(view: View, call: Call) -> Answer:
    return _answer(call, "trustFramework/keySets/$entity", _keyset(view, call))


def _answer(call: Call, fragment: str, members: Mapping[str, object]) -> Answer:
    context = f"{call.request.origin}/beta/$metadata#{fragment}"
    return json_answer({"@odata.context": context, **members}, content_type=GRAPH_JSON)
