"""An edge on a bench: an emulated service, and the adapters that speak to it, without the program around them."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.exchange import Exchange
from rotator.edges.credentials import ClientSecret, Credential
from rotator.edges.graph import GraphKeysets
from rotator.edges.graph_requests import GraphRequests
from rotator.edges.http import Http
from rotator.edges.redactor import Redactor
from rotator.edges.tls import trust
from rotator.edges.tokens import Tokens
from rotator.edges.transport import transport
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET
from rotator.emulator.server import Emulator
from rotator.shell.clock import SystemClock

TENANT = "contoso.onmicrosoft.com"


class ManualClock:
    """Time that stands still until somebody moves it, or sleeps."""

    def __init__(self, *, stays: bool = True) -> None:
        """*stays*: a sleep is never cut short."""
        self._stays = stays
        self._passed = 0.0
        self.pauses: list[float] = []

    def exact(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return 1000.0 + self._passed

    def sleep(self, seconds: float) -> bool:
        """Take note of the pause; nobody waits."""
        self.pauses.append(seconds)
        self._passed += seconds
        return self._stays

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds


@dataclass
class Line:
    """Adapters for one emulated tenant, and what they have told."""

    emulator: Emulator
    folder: Path
    context: ssl.SSLContext
    timeout: float = 5.0
    clock: ManualClock = field(default_factory=ManualClock)
    exchanges: list[Exchange] = field(default_factory=list)
    attempts: list[bool] = field(default_factory=list)
    learnt: list[str] = field(default_factory=list)
    redactor: Redactor = field(default_factory=Redactor)
    expiries: list[datetime | None] = field(default_factory=list)
    retries: list[FailureKind] = field(default_factory=list)
    _opened: list[Http] = field(default_factory=list)

    @property
    def discovery(self) -> str:
        """Something that anybody may ask for."""
        return f"{self.emulator.url}/{TENANT}/v2.0/.well-known/openid-configuration"

    def count(self, operation: Operation) -> int:
        """How often that was requested."""
        return len(self.emulator.seen(operation))

    def http(self, context: ssl.SSLContext | None = None) -> Http:
        """A client."""
        http = Http(
            transport(context or self.context),
            clock=SystemClock(),
            on_exchange=self.exchanges.append,
            timeout=lambda: self.timeout,
        )
        self._opened.append(http)
        return http

    def secret(self, text: str = DEMO_SECRET) -> ClientSecret:
        """The credential in a file with *text*."""
        file = self.folder / "client-secret"
        file.write_text(text)
        return ClientSecret(file=file)

    def tokens(
        self,
        credential: Credential | None = None,
        *,
        client_id: str = DEMO_CLIENT_ID,
        tenant: str = TENANT,
        on_directory: Callable[[str], None] = lambda _: None,
    ) -> Tokens:
        """Tokens for the tenant, which live by `clock`."""
        return Tokens(
            self.http(),
            authority=f"{self.emulator.url}/{tenant}",
            scope=f"{self.emulator.url}/.default",
            client_id=client_id,
            credential=credential or self.secret(),
            clock=self.clock,
            on_attempt=self.attempts.append,
            on_secret=self._on_secret,
            on_expiry=self.expiries.append,
            on_directory=on_directory,
        )

    def graph(self, *, tokens: Tokens | None = None) -> GraphKeysets:
        """Keysets of the tenant."""
        requests = GraphRequests(
            self.http(), tokens or self.tokens(), clock=self.clock, jitter=lambda: 0.5, on_retry=self.retries.append
        )
        return GraphKeysets(self.emulator.url, requests, clock=self.clock)

    def _on_secret(self, value: str, *, permanent: bool) -> None:
        self.redactor.register(value, permanent=permanent)
        self.learnt.append(value)

    def close(self) -> None:
        """Close every connection."""
        for http in self._opened:
            http.close()


@contextmanager
def connected(emulator: Emulator, folder: Path) -> Iterator[Line]:
    """Adapters for *emulator*, closed at the end."""
    line = Line(emulator, folder, trust(str(emulator.ca_file)))
    try:
        yield line
    finally:
        line.close()


def refused(call: Callable[[], object]) -> RequestError:
    """The error that *call* ends in."""
    try:
        call()
    except RequestError as error:
        return error
    msg = "it was not refused"
    raise AssertionError(msg)


def failure(call: Callable[[], object]) -> Failure:
    """The failure that *call* ends in."""
    return refused(call).failure
