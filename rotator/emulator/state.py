"""
The state file: everything but the requests, kept over restarts.

It holds private keys (of keysets, of the CA, of access tokens) and client secrets, so
it is made for its owner only (0600), and is replaced in one step: whoever reads it sees
the state before a write or after it. It is not synced to the disk; a machine that dies
may lose the last writes of an emulator.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rotator.emulator.directory import Directory
from rotator.emulator.material import RsaMaterial
from rotator.emulator.model import Tenant
from rotator.emulator.seed import App, FederatedCredential, Secret, TenantSeed
from rotator.emulator.state_events import event_data, material_data, read_event, read_material, read_private
from rotator.emulator.switches import Switches, changed
from rotator.emulator.tls import Authority

_VERSION = 1


class StateError(ValueError):
    """A state file that cannot be read or written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes an emulator the same one after a restart: its CA, and its tokens' key."""

    authority: Authority
    signing: RsaMaterial


class StateFile:
    """Writes the state of a directory after every commit."""

    def __init__(self, path: Path, directory: Directory, identity: Identity) -> None:
        self._path = path
        self._directory = directory
        self._identity = identity
        self._lock = threading.Lock()

    def save(self) -> None:
        """Raises: StateError."""
        with self._lock:
            text = json.dumps(_document(self._directory, self._identity))
            draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            try:
                with contextlib.suppress(FileNotFoundError):
                    draft.unlink()
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                draft.replace(self._path)
            except OSError as error:
                msg = f"{self._path}: cannot be written: {error.strerror}"
                raise StateError(msg) from error


def load_state(path: Path, directory: Directory) -> Identity | None:
    """
    Fill *directory* with what *path* holds; None where there is no such file.

    Raises:
        StateError: it is no state file of ours.

    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        _check_version(path, data["version"])
        identity = Identity(authority=Authority(**data["authority"]), signing=read_private(data["signing"]))
        materials = [read_material(saved) for saved in data["rsa"]]
        for saved in data["tenants"]:
            _restore(directory, saved, materials)
        directory.offset = data["offset"]
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise StateError(msg) from error
    except StateError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path}: is no state file of an emulator"
        raise StateError(msg) from error
    return identity


def _check_version(path: Path, version: object) -> None:
    if version != _VERSION:
        msg = f"{path}: is of version {version}, and this emulator reads {_VERSION}"
        raise StateError(msg)


# --- out


def _document(directory: Directory, identity: Identity) -> dict[str, Any]:
    materials: dict[int, tuple[int, RsaMaterial]] = {}

    def place(material: RsaMaterial) -> int:
        """Where *material* stands in the table: many keys share one."""
        return materials.setdefault(id(material), (len(materials), material))[0]

    tenants = [_tenant(tenant, place) for tenant in directory.tenants]
    return {
        "version": _VERSION,
        "offset": directory.offset,
        "authority": asdict(identity.authority),
        "signing": material_data(identity.signing),
        "rsa": [material_data(material) for _, material in materials.values()],
        "tenants": tenants,
    }


def _tenant(tenant: Tenant, place: Callable[[RsaMaterial], int]) -> dict[str, Any]:
    return {
        "id": tenant.id,
        "domain": tenant.domain,
        "apps": [asdict(app) for app in tenant.apps.values()],
        "policies": dict(tenant.policies),
        "switches": asdict(tenant.switches),
        "keysets": [
            {"id": keyset.id, "events": [event_data(event, place) for event in tuple(keyset.events)]}
            for keyset in tenant.all_keysets()
        ],
    }


# --- in


def _restore(directory: Directory, saved: dict[str, Any], materials: list[RsaMaterial]) -> None:
    seed = TenantSeed(
        id=saved["id"],
        domain=saved["domain"],
        apps=tuple(_app(app) for app in saved["apps"]),
        switches=changed(Switches(), saved["switches"]),
    )
    tenant = directory.add(seed)
    tenant.policies = {name: tuple(ids) for name, ids in saved["policies"].items()}
    for keyset in saved["keysets"]:
        events = [read_event(event, materials) for event in keyset["events"]]
        tenant.restore(keyset["id"], events)


def _app(saved: dict[str, Any]) -> App:
    return App(
        client_id=saved["client_id"],
        secrets=tuple(Secret(**secret) for secret in saved["secrets"]),
        certificates=tuple(saved["certificates"]),
        federated=tuple(FederatedCredential(**credential) for credential in saved["federated"]),
        roles=tuple(saved["roles"]),
    )
