"""
`rotator emulator`: serve until a signal, and print how to use it.

Into its directory it writes what the daemon needs to run against the emulator: the CA,
the secret of each app in a file of its own (0600), and a ready ``rotator.yaml``. Neither the
directory nor a file in it may be a symbolic link: the directory could be one that others write to.
"""

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rotator.emulator.files import write_file
from rotator.emulator.model.keysets import Keyset
from rotator.emulator.model.seed import SeedError, demo_seed
from rotator.emulator.model.seed_file import load_seed
from rotator.emulator.model.tenants import Tenant
from rotator.emulator.server import Emulator, EmulatorError
from rotator.emulator.state import StateError

CONFIGURATION = "rotator.yaml"
_OK, _FAILED, _INVALID = 0, 1, 78  # the exit codes of the command line


def serve(
    *,
    seed: Path | None,
    state: Path | None,
    host: str,
    port: int,
    directory: Path | None,
    public: bool = False,
    names: tuple[str, ...] = (),
) -> int:
    """
    Serve until SIGINT or SIGTERM.

    seed None is the demo tenant; directory None is a temporary one. A host that is not
    loopback is refused unless *public*; *names* are further names for the certificate.

    Returns: the exit code; mistakes are printed on stderr, one line each.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="emulator-") as temporary:
            folder = (directory or Path(temporary)).absolute()
            now = time.time()
            tenants = load_seed(seed, now) if seed else demo_seed(now)
            emulator = Emulator(
                tenants, host=host, port=port, directory=folder, state=state, names=names, public=public
            )
            return _run(emulator, folder)
    except (SeedError, StateError) as error:
        sys.stderr.write(f"{error}\n")
        return _INVALID
    except BrokenPipeError:  # the reader of stdout has ended
        raise
    except (EmulatorError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED


def _run(emulator: Emulator, folder: Path) -> int:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with emulator:
        configuration = write_configuration(emulator, folder)
        sys.stdout.write(_greeting(emulator, configuration))
        sys.stdout.flush()
        stopping.wait()
    return _OK


def write_configuration(
    emulator: Emulator,
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    sign_in: Mapping[str, Any] | None = None,
) -> Path:
    """
    Write a `rotator.yaml` for every tenant that has an app with a secret, and the secrets beside it.

    *settings* are further members at its top, such as `check_interval`. Where *sign_in* is given,
    each tenant with policies is probed, with these further members of `sign_in`, and with a canary,
    which has the credential of the tenant. Returns: where it is.
    """
    cloud = {"graph": emulator.url, "login": emulator.url}
    tenants: list[dict[str, Any]] = []
    for tenant in emulator.tenants:
        credential = _credential(tenant, folder)
        keysets = [_keyset(each) for each in tenant.all_keysets() if each.exists and not each.id.endswith(".bak")]
        if credential is not None and keysets:
            name = tenant.domain.partition(".")[0]
            known = {"name": name, "tenant_id": tenant.domain, "cloud": dict(cloud), "credential": credential}
            probed = _sign_in(emulator, tenant, credential, sign_in) if sign_in is not None and tenant.policies else {}
            tenants.append({**known, **probed, "keysets": keysets})
    configuration = folder / CONFIGURATION
    data = {"ca_file": str(emulator.ca_file.absolute()), **(settings or {}), "tenants": tenants}
    write_file(configuration, yaml.safe_dump(data, sort_keys=False))
    return configuration


def _sign_in(
    emulator: Emulator, tenant: Tenant, credential: Mapping[str, str], more: Mapping[str, Any]
) -> dict[str, Any]:
    canary = {**credential, "scope": f"https://{tenant.domain}/canary/.default"}
    return {"sign_in": {"url": emulator.url, "policies": list(tenant.policies), "canary": canary, **more}}


def _credential(tenant: Tenant, folder: Path) -> dict[str, str] | None:
    """The first app with a secret, which is written to a file that only its owner reads."""
    for app in tenant.apps.values():
        for secret in app.secrets:
            file = _secret_file(tenant, folder)
            write_file(file, secret.value, mode=0o600)
            return {"client_id": app.client_id, "client_secret_file": str(file.absolute())}
    return None


def _secret_file(tenant: Tenant, folder: Path) -> Path:
    return folder / f"{tenant.domain}-client-secret"


def _keyset(keyset: Keyset) -> dict[str, str]:
    newest = keyset.keys[-1] if keyset.keys else None
    body = {"id": keyset.id, "use": (newest.use if newest else None) or "sig"}
    # A generated secret can never be read back, so it is not rotated unless asked for.
    if newest is not None and newest.kty.lower() == "oct":
        body |= {"kty": "oct", "mode": "observe"}
    return body


def _greeting(emulator: Emulator, configuration: Path) -> str:
    lines = [
        f"The emulated tenants are at  {emulator.url}",
        f"Trust its CA                 {emulator.ca_file}",
        f"Requests, faults, switches   {emulator.url}/_emulator/ (in a browser, or with curl)",
        "",
    ]
    for tenant in emulator.tenants:
        lines.append(f"{tenant.domain}  ({tenant.id})")
        lines += [f"  app     {app.client_id}" for app in tenant.apps.values()]
        secret = _secret_file(tenant, configuration.parent)
        lines += [f"  secret  in {secret}"] if secret.exists() else []
        lines += [f"  keyset  {each.id}  {len(each.keys)} key(s)" for each in tenant.all_keysets() if each.exists]
        lines += [f"  jwks    {emulator.url}/{tenant.domain}/{name}/discovery/v2.0/keys" for name in tenant.policies]
    lines += ["", "A configuration that is ready for use:", f"  export ROTATOR_CONFIG={configuration}"]
    lines += ["  rotator --dry-run", "", "Ctrl-C ends it."]
    return "\n".join(lines) + "\n"
