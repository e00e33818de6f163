"""
The whole on a bench: an emulated service, a configuration for it, and the program as a process.

What holds for every run is checked for every run: no secret and no traceback in any
output, nothing asked of the service but what the program is meant to ask.
"""

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Self
from unittest import mock

import yaml
from end_to_end.forked import Forked

from rotator import cli
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Seen, Stage
from rotator.emulator.model.seed import DEMO_CLIENT_ID, WRITE_ROLE, App, KeySeed, KeysetSeed, Secret, Seed, TenantSeed
from rotator.emulator.model.switches import Switches
from rotator.emulator.server import Emulator

DAY = 86_400
LIFE = timedelta(days=90, hours=25)
"""How long a signing key lives by default: rotate_every and overlap."""

PATIENCE = 20.0
"""Seconds after which a process that has not done what it was to do is a failed test."""

SECRET = "kE8Q~not-a-real-secret-of-anybody.aB3"
JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.")
MAY_BE_ASKED = frozenset(
    {
        (Operation.DISCOVERY, "GET"),
        (Operation.TOKEN, "POST"),
        (Operation.LIST_KEYSETS, "GET"),
        (Operation.GET_KEYSET, "GET"),
        (Operation.CREATE_KEYSET, "POST"),
        (Operation.GENERATE_KEY, "POST"),
        (Operation.UPDATE_KEY, "PATCH"),
        (Operation.GET_ACTIVE_KEY, "GET"),
        (Operation.LIST_KEYS, "GET"),
        (Operation.POLICY_DISCOVERY, "GET"),
        (Operation.JWKS, "GET"),
        (Operation.POLICY_TOKEN, "POST"),
    }
)


def key(*, age: float, life: timedelta = LIFE, **more: Any) -> KeySeed:
    """A key that was activated *age* days ago and lives for *life*."""
    nbf = int(time.time() - age * DAY)
    return KeySeed(nbf=nbf, exp=nbf + int(life.total_seconds()), **more)


def fresh(keyset_id: str = "B2C_1A_Fresh", **more: Any) -> "Keyset":
    """A keyset in which nothing is due."""
    return Keyset(id=keyset_id, keys=(key(age=10),), **more)


def due(keyset_id: str = "B2C_1A_Due", **more: Any) -> "Keyset":
    """A keyset in its renewal window."""
    return Keyset(id=keyset_id, keys=(key(age=80),), **more)


def overdue(keyset_id: str = "B2C_1A_Overdue", **more: Any) -> "Keyset":
    """A keyset whose lead is hurt already, and whose key is still valid."""
    return Keyset(id=keyset_id, keys=(key(age=89),), **more)


def lapsed(keyset_id: str = "B2C_1A_Lapsed", **more: Any) -> "Keyset":
    """A keyset whose only key has expired."""
    return Keyset(id=keyset_id, keys=(key(age=100),), **more)


@dataclass(frozen=True, kw_only=True)
class Keyset:
    """
    A keyset, both as it is and as it is configured.

    wanted:   further members of its configuration
    is_there: whether the tenant has it
    """

    id: str
    keys: tuple[KeySeed, ...] = ()
    use: str = "sig"
    wanted: Mapping[str, object] = field(default_factory=dict)
    is_there: bool = True

    @property
    def configured(self) -> dict[str, object]:
        """Its entry in the file."""
        return {"id": self.id, "use": self.use, **self.wanted}


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """
    A tenant, both as it is and as it is configured.

    others:     keysets that it has and that are not configured
    credential: in place of the secret in a file
    policies:   which keysets each custom policy publishes; none: it is not probed
    """

    name: str = "contoso"
    keysets: tuple[Keyset, ...] = ()
    others: tuple[KeysetSeed, ...] = ()
    roles: tuple[str, ...] = (WRITE_ROLE,)
    switches: Switches = field(default_factory=Switches)
    credential: Mapping[str, object] | None = None
    policies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        """Its domain."""
        return f"{self.name}.onmicrosoft.com"

    @property
    def seed(self) -> TenantSeed:
        """What the emulator has of it."""
        keysets = tuple(KeysetSeed(id=keyset.id, keys=keyset.keys) for keyset in self.keysets if keyset.is_there)
        app = App(secrets=(Secret(value=SECRET),), roles=self.roles)
        return TenantSeed(
            domain=self.domain,
            apps=(app,),
            keysets=(*keysets, *self.others),
            policies=self.policies,
            switches=self.switches,
        )


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The report as JSON: all of stdout, one object."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the report."""
        rows: list[dict[str, Any]] = self.document["keysets"]
        return rows

    @property
    def row(self) -> dict[str, Any]:
        """The only row of the report."""
        (row,) = self.rows
        return row

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The log: all of stderr, one object a line."""
        return [json.loads(line) for line in self.err.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines with that event."""
        return [line for line in self.logs if line["event"] == name]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer of the daemon's own pages."""

    status: int
    headers: Mapping[str, str]
    text: str


class Running:
    """The program while it runs."""

    def __init__(self, process: subprocess.Popen[str] | Forked) -> None:
        self.process = process
        self.may_raise = False  # where a bug is put into it, its log has a traceback
        self._changed = threading.Condition()
        self._is_checked = False
        self._lines: list[str] = []
        self._out: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(process.stderr, self._lines)),
            threading.Thread(target=self._read, args=(process.stdout, self._out)),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Every log line until now."""
        with self._changed:
            return [json.loads(line) for line in self._lines]

    def events(self, name: str, **data: object) -> list[dict[str, Any]]:
        """The log lines with that event and *data*."""
        return [line for line in self.logs if line["event"] == name and data.items() <= line.items()]

    def log(self, name: str, *, count: int = 1, timeout: float = PATIENCE, **data: object) -> dict[str, Any]:
        """Wait for the *count*-th log line with that event and *data*."""
        until = time.monotonic() + timeout
        with self._changed:
            while len(found := self.events(name, **data)) < count:
                left = until - time.monotonic()
                may_come = left > 0 and any(reader.is_alive() for reader in self._readers)
                assert may_come, f"no {name} {data} within {timeout}s, only:\n{''.join(self._lines)}"
                self._changed.wait(min(left, 0.5))
        return found[count - 1]

    @property
    def port(self) -> int:
        """Where its pages are, once it has started."""
        port: int = self.log("rotator.started")["port"]
        return port

    def get(self, path: str, *, method: str = "GET", timeout: float = PATIENCE, **headers: str) -> Reply:
        """Ask for one of its pages."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return Reply(status=answer.status, headers=dict(answer.headers), text=answer.read().decode())
        finally:
            connection.close()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self) -> Finished:
        """End it as a supervisor does."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout: float = PATIENCE) -> Finished:
        """Wait until it has ended."""
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        finished = Finished(code=code, out="".join(self._out), err="".join(self._lines))
        if not self._is_checked:
            self._is_checked = True
            _check(finished, may_raise=self.may_raise)
        return finished

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def _read(self, stream: IO[str] | None, lines: list[str]) -> None:
        assert stream is not None
        with stream:
            for line in stream:
                with self._changed:
                    lines.append(line)
                    self._changed.notify_all()


class Bench:
    """An emulator, a configuration for it, and the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "rotator.yaml"
        self.secret_file = folder / "client-secret"
        self.content: dict[str, Any] = {}
        self.may_disable = False
        self._stack = ExitStack()
        self._emulator: Emulator | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            requests = self._emulator.requests if self._emulator else ()
            errors = self._emulator.errors if self._emulator else ()
        finally:
            self._stack.close()
        assert not errors, errors[0]
        _check_requests(requests)
        if not self.may_disable:
            changed = [seen.body for seen in requests if seen.operation is Operation.UPDATE_KEY]
            assert [body for body in changed if json.loads(body or "{}") != {"status": "enabled"}] == []

    @property
    def emulator(self) -> Emulator:
        """The service."""
        assert self._emulator is not None
        return self._emulator

    def begin(self, *tenants: Tenant, **settings: object) -> Emulator:
        """Start the service with *tenants*, and write the configuration for them."""
        self._emulator = self._stack.enter_context(Emulator(Seed(tenants=tuple(tenant.seed for tenant in tenants))))
        self.secret_file.write_text(f"{SECRET}\n")
        self.content = {
            "ca_file": str(self.emulator.ca_file),
            "settle": "0s",
            "request_timeout": "10s",
            "http": {"host": "127.0.0.1", "port": 0},
            **settings,
            "tenants": [self._configured(tenant) for tenant in tenants],
        }
        self.write()
        return self.emulator

    def write(self) -> None:
        """Write the configuration as it stands in `content`."""
        self.config.write_text(yaml.safe_dump(self.content, sort_keys=False))

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = PATIENCE) -> Finished:
        """Run the program until it ends."""
        return self.start(*arguments, env=env).wait(timeout)

    def check(self, env: Mapping[str, str] | None = None) -> Finished:
        """Check the configuration, in this process: that starts nothing and changes nothing."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with mock.patch.dict(os.environ, self.environment(env), clear=True), redirect_stdout(out), redirect_stderr(err):
            try:
                code = cli.main(["config", "check"])
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        finished = Finished(code=code, out=out.getvalue(), err=err.getvalue())
        _check(finished)
        return finished

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Running:
        """Start the program, by a fork of a process that has imported it, unless *env* may change what is imported."""
        if all(name.startswith("ROTATOR_") or name in ("COLUMNS", "NO_COLOR") for name in env or ()):
            running = Running(Forked(arguments, self.environment(env)))
        else:
            running = Running(self._executed(arguments, env))
        self._stack.callback(running.close)
        return running

    def _executed(self, arguments: tuple[str, ...], env: Mapping[str, str] | None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "rotator", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self.environment(env),
        )

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the program: that of the tests, without what would lead it astray."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ROTATOR_", "KUBERNETES_")) and not name.lower().endswith("_proxy")
        }
        return {**kept, "ROTATOR_CONFIG": str(self.config), **(env or {})}

    def asked(self, operation: Operation, **where: str) -> tuple[Seen, ...]:
        """The requests of one kind that arrived."""
        return self.emulator.seen(operation, stage=Stage.ARRIVED, **where)

    def keys(self, keyset: str, tenant: str = "contoso") -> tuple[Any, ...]:
        """The keys of a keyset as they are."""
        return self.emulator.tenant(f"{tenant}.onmicrosoft.com").keyset(keyset).keys

    def _configured(self, tenant: Tenant) -> dict[str, object]:
        credential = {
            "client_id": DEMO_CLIENT_ID,
            **(tenant.credential or {"client_secret_file": str(self.secret_file)}),
        }
        canary = {**credential, "scope": f"https://{tenant.domain}/canary/.default"}
        sign_in = {"url": self.emulator.url, "policies": list(tenant.policies), "canary": canary}
        return {
            "name": tenant.name,
            "tenant_id": tenant.domain,
            "cloud": {"graph": self.emulator.url, "login": self.emulator.url},
            "credential": credential,
            **({"sign_in": sign_in} if tenant.policies else {}),
            "keysets": [keyset.configured for keyset in tenant.keysets],
        }


def instant(seconds: float) -> str:
    """RFC 3339, UTC, Z, whole seconds."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"


def peak(process: int) -> float:
    """The most memory that a process ever had, in MiB (proc(5), VmHWM)."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def _check(finished: Finished, *, may_raise: bool = False) -> None:
    for text in (finished.out, finished.err):
        assert SECRET not in text, "a secret was printed"
        assert not JWT.search(text), "a token was printed"
        assert may_raise or "Traceback" not in text, text


def _check_requests(requests: tuple[Seen, ...]) -> None:
    asked = {(seen.operation, seen.method) for seen in requests}
    assert asked <= MAY_BE_ASKED, f"asked for what it has no business with: {asked - MAY_BE_ASKED}"
    ids = [seen.client_request_id for seen in requests]
    assert all(ids), "a request without a client-request-id"
    assert len(ids) == len(set(ids)), "a client-request-id was used twice"
