"""
What the state does not allow, in Graph's words.

Codes: "Error codes: Azure Active Directory B2C". Which HTTP status comes with a code is documented
nowhere; where clients saw more than one, it is a switch.
"""

from rotator.emulator.answers import RefusedError
from rotator.emulator.keysets import (
    ConcurrentWriteError,
    KeyMissingError,
    KeysetExistsError,
    KeysetMissingError,
    MixedTypesError,
    MixedUsesError,
    ModelError,
)
from rotator.emulator.operations import Operation
from rotator.emulator.switches import Switches


def refusal(  # noqa: PLR0911 - a table
    error: ModelError, operation: Operation, switches: Switches, *, keyset: str, kid: str
) -> RefusedError:
    """What the state does not allow, in the codes of Azure AD B2C."""
    match error:
        case KeysetMissingError() if operation is Operation.REPLACE_KEYSET:
            text = "The keyset is not created; use create."
            return RefusedError(switches.missing_keyset_status, "AADB2C95052", text)
        case KeysetMissingError():
            text = f"The KeyContainer with id '{keyset}' cannot be found in the directory."
            return RefusedError(switches.missing_keyset_status, switches.missing_keyset_code, text)
        case KeysetExistsError():
            text = f"The keyset '{error}' already exists."
            return RefusedError(switches.existing_keyset_status, "AADB2C95028", text)
        case KeyMissingError():
            text = f"The key with id '{kid}' cannot be found in the keyset."
            return RefusedError(switches.missing_key_status, "AADB2C90130", text)
        case MixedTypesError():
            text = "A keyset cannot hold keys of different types."
            return RefusedError(400, "AADB2C95032", text)
        case MixedUsesError():
            text = "A keyset cannot mix keys for signature and for encryption."
            return RefusedError(400, "AADB2C95042", text)
        case ConcurrentWriteError():
            text = "Concurrent writes to the same object are not allowed."
            return RefusedError(switches.concurrent_write_status, "AADB2C95053", text)
        case _:
            return RefusedError(500, "UnknownError", "The service cannot do that.")
