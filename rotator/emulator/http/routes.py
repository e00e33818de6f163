"""
What can be asked of the emulator, and by which path and method.

The names of operations are those that faults and tests use. Graph's paths are compared
without case (early Microsoft samples say ``trustframework/keysets``), with OData's key in
brackets (``keySets('id')``) or as a segment, and actions with or without ``()``.

Sources: Microsoft Graph beta reference for ``trustFrameworkKeySet`` and
``trustFrameworkKey_v2``; OpenID Connect Discovery 1.0 for the login side.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from rotator.emulator.http.answers import RefusedError


class Operation(StrEnum):
    """One thing that a client can ask for."""

    # Entra.
    DISCOVERY = "discovery"
    TOKEN = "token"  # noqa: S105 - the name of an operation
    LOGIN_KEYS = "login_keys"
    # Graph.
    LIST_KEYSETS = "list_keysets"
    CREATE_KEYSET = "create_keyset"
    GET_KEYSET = "get_keyset"
    REPLACE_KEYSET = "replace_keyset"
    DELETE_KEYSET = "delete_keyset"
    GENERATE_KEY = "generate_key"
    UPLOAD_SECRET = "upload_secret"  # noqa: S105 - the name of an operation
    UPLOAD_CERTIFICATE = "upload_certificate"
    UPLOAD_PKCS12 = "upload_pkcs12"
    GET_ACTIVE_KEY = "get_active_key"
    LIST_KEYS = "list_keys"
    GET_KEY = "get_key"
    UPDATE_KEY = "update_key"
    # What relying parties read.
    POLICY_DISCOVERY = "policy_discovery"
    JWKS = "jwks"
    POLICY_TOKEN = "policy_token"  # noqa: S105 - the name of an operation
    # The emulator's own.
    CONTROL = "control"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a path asks for. *refused*: the HTTP status where the emulator has no such path or method."""

    operation: Operation
    arguments: Mapping[str, str] = field(default_factory=dict)
    refused: int | None = None


CONTROL_ROOT = "/_emulator"
_KEYSETS = "/beta/trustFramework/keySets"
_KEYSET = f"{_KEYSETS}/<keyset>"
_TABLE = (
    ("GET", "/<tenant>/v2.0/.well-known/openid-configuration", Operation.DISCOVERY),
    ("POST", "/<tenant>/oauth2/v2.0/token", Operation.TOKEN),
    ("GET", "/<tenant>/discovery/v2.0/keys", Operation.LOGIN_KEYS),
    ("GET", "/<tenant>/<policy>/discovery/v2.0/keys", Operation.JWKS),
    ("POST", "/<tenant>/<policy>/oauth2/v2.0/token", Operation.POLICY_TOKEN),
    ("GET", "/<tenant>/<policy>/v2.0/.well-known/openid-configuration", Operation.POLICY_DISCOVERY),
    ("GET", _KEYSETS, Operation.LIST_KEYSETS),
    ("POST", _KEYSETS, Operation.CREATE_KEYSET),
    ("GET", _KEYSET, Operation.GET_KEYSET),
    ("PUT", _KEYSET, Operation.REPLACE_KEYSET),
    ("DELETE", _KEYSET, Operation.DELETE_KEYSET),
    ("POST", f"{_KEYSET}/generateKey", Operation.GENERATE_KEY),
    ("POST", f"{_KEYSET}/uploadSecret", Operation.UPLOAD_SECRET),
    ("POST", f"{_KEYSET}/uploadCertificate", Operation.UPLOAD_CERTIFICATE),
    ("POST", f"{_KEYSET}/uploadPkcs12", Operation.UPLOAD_PKCS12),
    ("GET", f"{_KEYSET}/getActiveKey", Operation.GET_ACTIVE_KEY),
    ("GET", f"{_KEYSET}/keys_v2", Operation.LIST_KEYS),
    ("GET", f"{_KEYSET}/keys_v2/<kid>", Operation.GET_KEY),
    ("PATCH", f"{_KEYSET}/keys_v2/<kid>", Operation.UPDATE_KEY),
)
GRAPH = frozenset(operation for _, path, operation in _TABLE if path.startswith(_KEYSETS))
WRITES = frozenset(operation for method, _, operation in _TABLE if operation in GRAPH and method != "GET")
# Even to read one key through keys_v2 takes the right to write (page "Get trustFrameworkKey_v2").
NEEDS_WRITE_ROLE = WRITES | {Operation.LIST_KEYS, Operation.GET_KEY}

_ACTIONS = ("generateKey", "uploadSecret", "uploadCertificate", "uploadPkcs12", "getActiveKey", "keys_v2")
_CANONICAL = {word.lower(): word for word in _ACTIONS}
_MAP = Map(
    [Rule(path, endpoint=operation, methods=[method]) for method, path, operation in _TABLE],
    strict_slashes=False,
    merge_slashes=False,
).bind("localhost")
# B2C's other spelling, /{tenant}/discovery/v2.0/keys?p={policy}, has the path of the login side.
_OF_A_POLICY = {Operation.LOGIN_KEYS: Operation.JWKS, Operation.DISCOVERY: Operation.POLICY_DISCOVERY}


def find_route(method: str, path: str, query: Mapping[str, str]) -> Route:
    """What *method* on *path* asks for; never raises."""
    if path == CONTROL_ROOT or path.startswith(f"{CONTROL_ROOT}/"):
        return Route(operation=Operation.CONTROL)
    try:
        operation, arguments = _MAP.match(_canonical(path), method)
    except MethodNotAllowed:
        return Route(operation=Operation.UNKNOWN, refused=405)
    except NotFound:
        return Route(operation=Operation.UNKNOWN, refused=404)
    if "p" in query and operation in _OF_A_POLICY:
        return Route(operation=_OF_A_POLICY[operation], arguments={**arguments, "policy": query["p"]})
    return Route(operation=operation, arguments=arguments)


def is_graph(route: Route, path: str) -> bool:
    """Whether errors on this path look like Graph's."""
    return route.operation in GRAPH or path.lower().startswith(("/beta/", "/v1.0/"))


def _canonical(path: str) -> str:
    if path[: len(_KEYSETS)].lower() != _KEYSETS.lower():
        return path
    rest = re.sub(r"^\('([^']*)'\)", r"/\1", path[len(_KEYSETS) :])
    rest = re.sub(r"/(keys_v2)\('([^']*)'\)$", r"/\1/\2", rest, flags=re.IGNORECASE)
    first, *others = rest.removesuffix("()").split("/")
    # others[0] is the id of a keyset, which may be spelled like an action.
    spelled = [*others[:1], *(_CANONICAL.get(word.lower(), word) for word in others[1:2])]
    return "/".join((f"{_KEYSETS}{first}", *spelled, *others[2:]))


def parse_query(query: str) -> dict[str, str]:
    """A query string as a mapping; the last of several values counts."""
    return dict(parse_qsl(query, keep_blank_values=True))


def not_found(route: Route, path: str) -> RefusedError:
    """Graph's refusal of a path or a method that it does not have."""
    if route.refused == 405:
        return RefusedError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    if path.lower().startswith("/beta/"):
        segment = path.rstrip("/").rpartition("/")[2]
        return RefusedError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")
    return RefusedError(404, "ResourceNotFound", f"There is nothing at '{path}'.")
