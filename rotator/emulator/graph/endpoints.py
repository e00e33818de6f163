"""
The Graph side: ``/beta/trustFramework/keySets`` and what is below it.

Endpoints, success statuses and contexts are those of Microsoft's pages on
trustFrameworkKeySet. Whether the caller may ask is checked before (service.py); what
the state does not allow is raised as a ModelError, which has Graph's words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

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
        """The tenant's, as they are now."""
        return self.tenant.switches


def answer(operation: Operation, call: Call) -> Answer:
    """
    Carry out *operation*.

    Raises:
        RefusedError: with the status and the code that the service would give.

    """
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
    body: dict[str, object] = {"@odata.context": _context(call, "trustFramework/keySets")}
    if len(views) > size:
        link = f"{call.request.origin}/beta/trustFramework/keySets?$skiptoken="
        body["@odata.nextLink"] = f"{link}{views[size - 1].number}"
    body["value"] = [_keyset(view, call) for view in views[:size]]
    return json_answer(body, content_type=GRAPH_JSON)


def _create_keyset(call: Call) -> Answer:
    data = key_bodies.read_object(call.request, call.switches)
    name = data.get("id")
    if not isinstance(name, str) or not name:
        raise RefusedError(400, "AADB2C90253", "The parameter 'id' is missing or wrong.")
    keyset_id = name if name.startswith(_PREFIX) else f"{_PREFIX}{name}"
    if not KEYSET_ID.fullmatch(keyset_id):
        raise RefusedError(400, "AADB2C90136", f"The keyset id '{name}' is not valid.")
    keys = uploads.parse_jwks(data, call.switches, call.now)
    if call.commits:
        call.tenant.create(keyset_id, keys, by=call.client_id)
    view = View(0, keyset_id, keys)
    location = f"/trustFramework/keySets('{keyset_id}')"
    return replace(_entity(view, call), status=201, headers=(("Location", location),))


def _get_keyset(call: Call) -> Answer:
    return _entity(call.tenant.read_keyset(call.keyset), call)


def _replace_keyset(call: Call) -> Answer:
    data = key_bodies.read_object(call.request, call.switches)
    keys = uploads.parse_jwks(data, call.switches, call.now)
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
    data = key_bodies.read_object(call.request, call.switches)
    key = key_bodies.parse_generated(data, call.switches, call.now)
    shifted = replace(
        key,
        nbf=None if key.nbf is None else key.nbf + call.shift,
        exp=None if key.exp is None else key.exp + call.shift,
    )
    return _added(call, shifted)


def _upload_secret(call: Call) -> Answer:
    data = key_bodies.read_object(call.request, call.switches)
    return _added(call, uploads.parse_secret(data, call.switches, call.now))


def _upload_certificate(call: Call) -> Answer:
    data = key_bodies.read_object(call.request, call.switches)
    return _added(call, uploads.parse_certificate(data, call.switches))


def _upload_pkcs12(call: Call) -> Answer:
    data = key_bodies.read_object(call.request, call.switches)
    return _added(call, uploads.parse_pkcs12(data, call.switches))


def _get_active_key(call: Call) -> Answer:
    active = call.tenant.active(call.keyset)
    if active is not None:
        return _single_key(call, active, "microsoft.graph.trustFrameworkKey")
    status = call.switches.no_active_key_status
    if status == 204:
        return Answer(status=204)
    text = f"The key container with id '{call.keyset}' does not have a valid key."
    raise RefusedError(status, "AADB2C90220", text)


def _list_keys(call: Call) -> Answer:
    view = call.tenant.read_keyset(call.keyset)
    keys = [key_bodies.shown(key, call.switches) for key in view.keys]
    context = _context(call, f"trustFramework/keySets('{view.id}')/keys_v2")
    return json_answer({"@odata.context": context, "value": keys}, content_type=GRAPH_JSON)


def _get_key(call: Call) -> Answer:
    view = call.tenant.read_keyset(call.keyset)
    for key in view.keys:
        if key.kid == call.kid:
            fragment = f"trustFramework/keySets('{view.id}')/keys_v2/$entity"
            return _single_key(call, key, fragment)
    raise KeyMissingError(call.kid)


def _update_key(call: Call) -> Answer:
    data = key_bodies.read_object(call.request, call.switches)
    status = key_bodies.parse_status(data)
    keyset = call.tenant.keyset(call.keyset)
    key = keyset.key(call.kid)
    if call.commits:
        key = call.tenant.set_status(keyset.id, call.kid, status, by=call.client_id)
    if call.switches.update_answers_key:
        fragment = f"trustFramework/keySets('{keyset.id}')/keys_v2/$entity"
        return _single_key(call, replace(key, status=status), fragment)
    return Answer(status=204)


_HANDLERS: Mapping[Operation, Callable[[Call], Answer]] = {
    Operation.LIST_KEYSETS: _list_keysets,
    Operation.CREATE_KEYSET: _create_keyset,
    Operation.GET_KEYSET: _get_keyset,
    Operation.REPLACE_KEYSET: _replace_keyset,
    Operation.DELETE_KEYSET: _delete_keyset,
    Operation.GENERATE_KEY: _generate_key,
    Operation.UPLOAD_SECRET: _upload_secret,
    Operation.UPLOAD_CERTIFICATE: _upload_certificate,
    Operation.UPLOAD_PKCS12: _upload_pkcs12,
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
    context = {"@odata.context": _context(call, fragment)}
    body = key_bodies.shown(key, call.switches)
    if call.switches.single_key_wrapped:
        return json_answer({**context, "value": body}, content_type=GRAPH_JSON)
    return json_answer({**context, **body}, content_type=GRAPH_JSON)


def _keyset(view: View, call: Call) -> dict[str, object]:
    return {"id": view.id, "keys": [key_bodies.shown(key, call.switches) for key in view.keys]}


def _context(call: Call, fragment: str) -> str:
    return f"{call.request.origin}/beta/$metadata#{fragment}"


def _entity(view: View, call: Call) -> Answer:
    context = _context(call, "trustFramework/keySets/$entity")
    return json_answer({"@odata.context": context, **_keyset(view, call)}, content_type=GRAPH_JSON)
