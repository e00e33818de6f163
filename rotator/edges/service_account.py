"""
The service account of the pod: the mounted token, CA and namespace, and a client that trusts this CA.

The kubelet renews the token, and may renew the CA: both are read again every minute, and
after a failure.

Source: "Accessing the Kubernetes API from a Pod".
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.edges.files import read_file
from rotator.edges.http import Clock, Http, TransportFactory

MAX_AGE = 60.0  # seconds after which token and CA are read again


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The content of the directory; *read_at*: when it was read, in monotonic seconds."""

    token: str = field(repr=False)
    ca: bytes
    namespace: str
    http: Http
    read_at: float

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request to the API."""
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}


class ServiceAccount:
    """The directory of one service account. For one thread."""

    def __init__(self, directory: Path, *, namespace: str | None, clock: Clock, transport: TransportFactory) -> None:
        """
        No file is read yet.

        directory: has `token`, `ca.crt` and `namespace`
        namespace: used instead of the one in *directory*; None: that one
        """
        self.directory = directory
        self._namespace = namespace
        self._clock = clock
        self._transport = transport
        self._account: Account | None = None
        self._is_expired = False

    def current(self) -> Account:
        """
        The content of the directory, at most `MAX_AGE` old.

        Raises:
            RequestError: `auth`, where a file is missing or is not what a cluster mounts.

        """
        before, now = self._account, self._clock.monotonic()
        if before is not None and not self._is_expired and now - before.read_at < MAX_AGE:
            return before
        token, ca = self._word("token"), self._content("ca.crt")
        namespace = self._namespace or self._word("namespace")
        if before is not None and before.ca == ca:
            http = before.http
        else:
            http = Http(self._transport(self._trust(ca)), clock=self._clock, on_exchange=lambda _: None)
            self.close()
        self._account = Account(token=token, ca=ca, namespace=namespace, http=http, read_at=now)
        self._is_expired = False
        return self._account

    def expire(self) -> None:
        """Make `current` read the directory again: the token or the CA may have been renewed."""
        self._is_expired = True

    def file(self, name: str) -> Path:
        """The path of the file *name*."""
        return self.directory / name

    def close(self) -> None:
        """Close the connection that is kept open."""
        if self._account is not None:
            self._account.http.close()

    def _content(self, name: str) -> bytes:
        try:
            return read_file(self.file(name))
        except OSError as error:
            message = f"cannot read {self.file(name)}: {error.strerror}; mount the service account's token there"
            _fail(message, cause=error)

    def _word(self, name: str) -> str:
        """The content of a file that must be one word, because it becomes part of a request."""
        word = self._content(name).decode("latin-1").strip()
        if not re.fullmatch(r"[\w.-]+", word, re.ASCII):
            _fail(f"{self.file(name)} is not what a cluster mounts there; mount the service account's token")
        return word

    def _trust(self, ca: bytes) -> ssl.SSLContext:
        """TLS that trusts the cluster's CA, and nobody else."""
        try:
            context = ssl.create_default_context(cadata=ca.decode("ascii"))
        except (OSError, ValueError) as error:
            _fail(
                f"{self.file('ca.crt')} has no certificate that can be parsed; mount the cluster's CA there",
                cause=error,
            )
        # Python 3.13 sets a flag that rejects the CAs of many clusters: kubernetes-client/python, issue 2394.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def _fail(message: str, *, cause: Exception | None = None) -> NoReturn:
    raise RequestError(Failure(kind=FailureKind.AUTH, message=message)) from cause
