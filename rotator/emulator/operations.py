"""
What can be asked of the emulator, each with the name that faults and tests use.

Paths and methods: Microsoft Graph beta reference for ``trustFrameworkKeySet`` and
``trustFrameworkKey_v2``; OpenID Connect Discovery 1.0 for the login side.
"""

from enum import StrEnum

READ_ROLE = "TrustFrameworkKeySet.Read.All"
WRITE_ROLE = "TrustFrameworkKeySet.ReadWrite.All"


class Operation(StrEnum):
    """One thing that a client can ask for."""

    # The login side.
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

    # Ours.
    CONTROL = "control"
    UNKNOWN = "unknown"


WRITES = frozenset(
    {
        Operation.CREATE_KEYSET,
        Operation.REPLACE_KEYSET,
        Operation.DELETE_KEYSET,
        Operation.GENERATE_KEY,
        Operation.UPLOAD_SECRET,
        Operation.UPLOAD_CERTIFICATE,
        Operation.UPLOAD_PKCS12,
        Operation.UPDATE_KEY,
    }
)

GRAPH = WRITES | {
    Operation.LIST_KEYSETS,
    Operation.GET_KEYSET,
    Operation.GET_ACTIVE_KEY,
    Operation.LIST_KEYS,
    Operation.GET_KEY,
}

# Even to read one key through keys_v2 takes the right to write (page "Get trustFrameworkKey_v2").
NEEDS_WRITE_ROLE = WRITES | {Operation.LIST_KEYS, Operation.GET_KEY}
