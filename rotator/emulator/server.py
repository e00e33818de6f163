"""
The emulator as one thing to start, ask and stop.

::

    with Emulator(Seed(...)) as emulator:
        httpx.Client(verify=ssl.create_default_context(cafile=emulator.ca_file))
        emulator.url, emulator.tenant("contoso.onmicrosoft.com"), emulator.inject(...)

Waits are in real seconds; everything else goes by the emulated clock, except tokens and
certificates of apps, which go by the login clock (entra/login.py says why).
"""

import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from rotator.emulator.control import Control
from rotator.emulator.entra.login import Tokens
from rotator.emulator.faults.fault import Fault, FaultTable, Injected
from rotator.emulator.files import write_file
from rotator.emulator.http.certificates import LOOPBACK_NAMES, Origins, is_loopback, make_authority, server_context
from rotator.emulator.http.http_server import TlsServer
from rotator.emulator.http.routes import Operation
from rotator.emulator.journal import Journal, Seen, Stage, matching
from rotator.emulator.model.keys import POOL
from rotator.emulator.model.seed import Seed
from rotator.emulator.model.tenants import Clock, Directory, Tenant
from rotator.emulator.service import Service
from rotator.emulator.state import Identity, StateFile, load_state

CA_FILE = "emulator-ca.pem"


class EmulatorError(Exception):
    """The emulator cannot start, or does not have what was asked for."""


class Emulator:
    """
    An emulated service with the tenants of a seed; a context manager.

    clock, login_clock
        Epoch seconds: for everything in a tenant, and for tokens and assertions.
    host, port
        Where to listen; port 0 is any free one. Only loopback, unless *public*.
    directory
        Where the CA file is written; None: a temporary one, removed at the end.
    state
        A file in which tenants, keys and the CA are kept over restarts. Where it exists, the seed is ignored.
    names
        Further host names and addresses for the certificate.
    """

    def __init__(
        self,
        seed: Seed | None = None,
        *,
        clock: Clock = time.time,
        login_clock: Clock = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
        directory: Path | None = None,
        state: Path | None = None,
        names: tuple[str, ...] = (),
        public: bool = False,
    ) -> None:
        if not public and not is_loopback(host):
            raise EmulatorError(f"{host} is not loopback: whoever reaches the emulator can do anything with it")
        self._address = (host, port)
        self._directory_given = directory
        self._state_file = state
        self._names = (*LOOPBACK_NAMES, *names)
        self._seed = seed or Seed()
        self._closing = threading.Event()
        self._exits = ExitStack()
        self._login_clock = login_clock
        self.directory = Directory(clock)
        self.journal = Journal()
        self.faults = FaultTable()

    def start(self) -> Self:
        """Listen. Raises: EmulatorError, where that cannot be."""
        with ExitStack() as stack:
            self._begin(stack)
            self._exits = stack.pop_all()
        return self

    def close(self) -> None:
        """End every connection and every pause, and stop listening."""
        self._exits.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, stack: ExitStack) -> None:
        given = self._directory_given
        folder = given or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emulator-")))
        if folder.is_symlink():
            raise EmulatorError(f"{folder} is a symbolic link; name the directory itself")
        folder.mkdir(parents=True, exist_ok=True)
        identity = self._identity()
        self.ca_file = (folder / CA_FILE).absolute()
        self._listen(stack, identity)  # first: an emulator that has the port may have its CA file there
        write_file(self.ca_file, identity.authority.certificate_pem)

    def _identity(self) -> Identity:
        """The CA and the tokens' key; with them the tenants come from the state file, or from the seed."""
        identity = load_state(self._state_file, self.directory) if self._state_file else None
        if identity is None:
            for tenant in self._seed.tenants:
                self.directory.add(tenant)
            identity = Identity(authority=make_authority(), signing=POOL.take())
        if self._state_file is not None:
            state = StateFile(self._state_file, self.directory, identity)
            state.save()
            self.directory.on_commit = state.save
        return identity

    def _listen(self, stack: ExitStack, identity: Identity) -> None:
        service = Service(
            directory=self.directory,
            tokens=Tokens(identity.signing, self._login_clock),
            faults=self.faults,
            journal=self.journal,
            control=Control(self.directory, self.faults, self.journal, self.ca_file),
            is_ours=lambda origin: self._origins.includes(origin),  # noqa: PLW0108 - known once the port is
            closing=self._closing,
        )
        try:
            server = TlsServer(
                self._address,
                server_context(identity.authority, self._names),
                serve=service.serve,
                origin=lambda host: self._origins.of(host),  # noqa: PLW0108 - known once the port is
                clock=self.now,
                on_error=self.journal.failed,
            )
        except OSError as error:
            host, port = self._address
            raise EmulatorError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        self._origins = Origins(self._names, int(server.server_address[1]))
        self.port, self.url = self._origins.port, self._origins.usual
        thread = threading.Thread(target=server.accept, name="emulator", daemon=True)
        thread.start()
        stack.callback(self._end, server, thread)

    def _end(self, server: TlsServer, thread: threading.Thread) -> None:
        self._closing.set()
        self.faults.clear()
        server.stop()
        thread.join()
        server.server_close()
        server.cut_connections()

    def tenant(self, name: str) -> Tenant:
        """A tenant by GUID or domain. Raises: EmulatorError."""
        found = self.directory.find(name)
        if found is None:
            raise EmulatorError(f"there is no tenant {name}")
        return found

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        return self.directory.tenants

    def now(self) -> float:
        """The emulated time, epoch seconds."""
        return self.directory.now()

    def move_time(self, seconds: float) -> None:
        """Move the emulated time, forwards or back."""
        self.directory.offset += seconds
        self.directory.on_commit()

    def switch(self, /, **changes: object) -> None:
        """Change switches in every tenant. Raises: SwitchError."""
        for tenant in self.tenants:
            tenant.switch(**changes)

    def inject(self, fault: Fault) -> Injected:
        """Apply *fault* from now on, until it is spent or removed."""
        return self.faults.inject(fault)

    @property
    def requests(self) -> tuple[Seen, ...]:
        """Every request but those to the control endpoints, in order of arrival."""
        return self.journal.requests

    @property
    def counts(self) -> Mapping[Operation, int]:
        """How many requests of each operation arrived."""
        return self.journal.counts

    @property
    def errors(self) -> tuple[str, ...]:
        """Tracebacks of the emulator's own bugs."""
        return self.journal.errors

    def seen(
        self,
        operation: Operation | None = None,
        *,
        stage: Stage = Stage.ARRIVED,
        tenant: str | None = None,
        keyset: str | None = None,
    ) -> tuple[Seen, ...]:
        """The requests that match, and got at least as far as *stage*."""
        domain = self.tenant(tenant).domain if tenant else None
        return matching(self.requests, operation, stage, domain, keyset)

    def wait_for(
        self,
        operation: Operation,
        *,
        stage: Stage = Stage.ARRIVED,
        count: int = 1,
        tenant: str | None = None,
        keyset: str | None = None,
        timeout: float = 10,
    ) -> bool:
        """
        Wait until *count* requests, counted from the start, got as far as *stage*.

        Returns: whether they did within *timeout* real seconds.
        """
        domain = self.tenant(tenant).domain if tenant else None
        return self.journal.wait(
            lambda requests: len(matching(requests, operation, stage, domain, keyset)) >= count, timeout
        )
