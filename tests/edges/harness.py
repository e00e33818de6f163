"""An edge on a bench: an emulated service, and the adapters that speak to it, without the program around them."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.exchange import Exchange
from rotator.edges.graph import GraphKeysets
from rotator.edges.http import Http, trust
from rotator.edges.tokens import ClientSecret, Credential, Tokens
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET
from rotator.emulator.server import Emulator

TENANT = "contoso.onmicrosoft.com"


@dataclass
class Line:
    """Adapters for one emulated tenant, and what they have told."""

    emulator: Emulator
    folder: Path
    context: ssl.SSLContext
    timeout: float = 5.0
    exchanges: list[Exchange] = field(default_factory=list)
    attempts: list[bool] = field(default_factory=list)
    learnt: list[str] = field(default_factory=list)
    expiries: list[datetime | None] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    retries: list[FailureKind] = field(default_factory=list)
    _opened: list[Http] = field(default_factory=list)

    @property
    def discovery(self) -> str:
        """Something that anybody may ask for."""
        return f"{self.emulator.url}/{TENANT}/v2.0/.well-known/openid-configuration"

    def count(self, operation: Operation) -> int:
        """How often that was asked for."""
        return len(self.emulator.seen(operation))

    def http(self, context: ssl.SSLContext | None = None) -> Http:
        """A client."""
        http = Http(
            context or self.context,
            timeout=lambda: self.timeout,
            clock=lambda: datetime.now(UTC),
            observe=self.exchanges.append,
        )
        self._opened.append(http)
        return http

    def secret(self, text: str = DEMO_SECRET) -> ClientSecret:
        """The credential in a file with *text*."""
        file = self.folder / "client-secret"
        file.write_text(text)
        return ClientSecret(file=file)

    def tokens(
        self, credential: Credential | None = None, *, client_id: str = DEMO_CLIENT_ID, tenant: str = TENANT
    ) -> Tokens:
        """Tokens for the tenant."""
        return Tokens(
            self.http(),
            authority=f"{self.emulator.url}/{tenant}",
            scope=f"{self.emulator.url}/.default",
            client_id=client_id,
            credential=credential or self.secret(),
            observe=self.attempts.append,
            learn=self._learn,
            expires=self.expiries.append,
        )

    def graph(self, *, stays: bool = True, tokens: Tokens | None = None) -> GraphKeysets:
        """Keysets of the tenant; nobody really waits, and *stays* says whether a wait is cut short."""

        def sleep(seconds: float) -> bool:
            self.pauses.append(seconds)
            return stays

        return GraphKeysets(
            self.emulator.url,
            self.http(),
            tokens or self.tokens(),
            sleep=sleep,
            chance=lambda: 0.5,
            retried=self.retries.append,
        )

    def _learn(self, value: str, *, for_good: bool) -> None:
        del for_good
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
