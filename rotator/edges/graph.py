"""
Keysets over Microsoft Graph (beta, `trustFramework/keySets`).

It lists, looks, generates and enables; it has no way to replace or delete.
Reads are tried again where that helps; a write is sent once, and its
caller decides what to do.

Sources: Graph's pages on trustFrameworkKeySet (list, get, generateKey) and
trustFrameworkKey_v2 (update).
"""

import json
from collections.abc import Callable, Collection, Iterator
from typing import Protocol
from urllib.parse import quote, urljoin

from rotator.core.errors import UNTRUSTED, Effect, FailureKind, RequestError
from rotator.core.keyset import Keyset
from rotator.core.policy import KeySpec
from rotator.core.retry import Retry
from rotator.edges.answers import (
    Json,
    is_text,
    keyset_or_error,
    origin,
    parse_keyset,
    parse_object,
    parse_page,
    render_spec,
    unreadable,
    unwrapped,
)
from rotator.edges.http import Answer, Http
from rotator.edges.refusals import refused

MAX_PAGES = 200
LIST_TIMEOUT = 300.0  # seconds for all pages together
READS = Retry(
    first=1.0,
    longest=30.0,
    kinds=frozenset({FailureKind.THROTTLED, FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.SERVICE}),
    max_attempts=4,
    max_timeouts=2,
    max_retry_after=30.0,
)
"""When a read is tried again at once; where the service asks for a longer wait, a later sweep reads it."""


class TokenSource(Protocol):
    """Access tokens for one tenant."""

    def get(self) -> str:
        """A token that is valid now; raises `RequestError`."""
        ...

    def reject(self, token: str) -> None:
        """Forget *token*: the service refused it."""
        ...


class Clock(Protocol):
    """What is used of the clock."""

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...

    def sleep(self, seconds: float) -> bool:
        """Wait; False where the wait was cut short."""
        ...


class GraphKeysets:
    """The keysets of one tenant."""

    def __init__(
        self,
        root: str,
        http: Http,
        tokens: TokenSource,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        on_retry: Callable[[FailureKind], None],
    ) -> None:
        """
        No request is made yet.

        root:     Graph's root, https and without a path
        jitter:   draws from [0, 1)
        on_retry: called with the reason before a request is sent again
        """
        self._keysets = f"{root.rstrip('/')}/beta/trustFramework/keySets"
        self._http = http
        self._tokens = tokens
        self._clock = clock
        self._jitter = jitter
        self._on_retry = on_retry

    def list_keysets(self, wanted: Collection[str]) -> dict[str, Keyset | RequestError]:
        """
        The *wanted* keysets that the tenant has, by their ids as wanted.

        One request, and one for each further page. A keyset that cannot be read is
        in the answer as the error that says why, so that it does not cost the
        others. B2C's case rules for ids are not documented: here case is ignored.

        Raises:
            RequestError: the tenant could not be listed.

        """
        names = {keyset_id.lower(): keyset_id for keyset_id in wanted}
        found: dict[str, Keyset | RequestError] = {}
        for item in self._items():
            listed = item.get("id")
            if not isinstance(listed, str):
                raise unreadable("the list of keysets has an entry without an id")
            if name := names.get(listed.lower()):
                found[name] = keyset_or_error(name, item)
        return found

    def kids(self) -> frozenset[str]:
        """
        The kids of all keysets of the tenant, with one request and one for each further page.

        Raises:
            RequestError: the tenant could not be listed.

        """
        keys = (key for item in self._items() if isinstance(listed := item.get("keys"), list) for key in listed)
        return frozenset(str(key["kid"]) for key in keys if isinstance(key, dict) and is_text(key.get("kid")))

    def _items(self) -> Iterator[Json]:
        """The keysets of the tenant, page by page."""
        url, seen, until = self._keysets, set[str](), self._clock.monotonic() + LIST_TIMEOUT
        while url:
            if url in seen or len(seen) >= MAX_PAGES or self._clock.monotonic() > until:
                raise unreadable("the list of keysets goes round in circles, or has no end (@odata.nextLink)")
            seen.add(url)
            page = self._read("list_keysets", url)
            yield from parse_page(page)
            url = self._next(url, page)

    def fetch(self, keyset_id: str) -> Keyset:
        """
        One keyset as it is now.

        Raises:
            RequestError: it could not be read.

        """
        raw = self._read("get_keyset", self._url(keyset_id))
        return parse_keyset(keyset_id, raw)

    def prepare(self) -> None:
        """Have a token that is good for a write."""
        self._tokens.get()

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        """
        Ask once for the key that *spec* describes. It can't be taken back.

        Returns:
            The kid that the service names; None where it names none.

        Raises:
            RequestError: its `effect` says whether the key may be there all the same.

        """
        answer = self._once("generate_key", "POST", self._url(keyset_id, "generateKey"), render_spec(spec))
        try:
            raw = unwrapped(parse_object(answer))
        except RequestError as error:
            raise RequestError(error.failure, Effect.UNKNOWN) from error
        kid = raw.get("kid")
        return kid if is_text(kid) and kid else None

    def enable(self, keyset_id: str, kid: str) -> None:
        """
        Enable one key, and touch nothing else.

        Raises:
            RequestError: the service did not say that it did.

        """
        self._once("enable_key", "PATCH", self._url(keyset_id, "keys_v2", kid), {"status": "enabled"})

    def active_kid(self, keyset_id: str) -> str | None:
        """
        The kid of the key that the service takes for the active one; None where it names none.

        Raises:
            RequestError: it could not be asked.

        """
        try:
            answer = self._once("get_active_key", "GET", self._url(keyset_id, "getActiveKey"), None)
        except RequestError as error:
            # Without a valid key the service answers with one of these statuses: which, is not documented.
            if error.failure.kind in (FailureKind.NOT_FOUND, FailureKind.BAD_REQUEST):
                return None
            raise
        if not answer.body.strip():
            return None
        kid = unwrapped(parse_object(answer)).get("kid")
        return kid if is_text(kid) and kid else None

    def _url(self, *path: str) -> str:
        return "/".join((self._keysets, *(quote(part, safe="") for part in path)))

    def _next(self, url: str, page: Json) -> str:
        link = page.get("@odata.nextLink")
        if link is None:
            return ""
        try:
            target = urljoin(url, link) if isinstance(link, str) else ""
        except ValueError:
            target = ""
        if origin(target) != origin(url) or not target.isprintable():
            raise unreadable("the list of keysets goes on at another host, or nowhere (@odata.nextLink); not followed")
        return target

    def _read(self, operation: str, url: str) -> Json:
        """GET until it works, the failure is not one that passes, or waiting would take too long."""
        attempt = 0
        while True:
            try:
                return parse_object(self._once(operation, "GET", url, None))
            except RequestError as error:
                attempt += 1
                # An untrusted certificate counts as `network`, but asking again changes nothing.
                is_final = error.failure.code == UNTRUSTED
                pause = None if is_final else READS.pause(error.failure, attempt, self._jitter)
                if pause is None or not self._clock.sleep(pause):
                    raise
                self._on_retry(error.failure.kind)

    def _once(self, operation: str, method: str, url: str, body: Json | None) -> Answer:
        """
        One request. Where the token is refused it is dropped, and what only reads is asked once more.

        Getting a fresh one takes time, after which the caller must decide anew whether to write.
        """
        token = self._tokens.get()
        answer = self._send(operation, method, url, body, token)
        if answer.status == 401:
            self._tokens.reject(token)
        if answer.status == 401 and method == "GET":
            answer = self._send(operation, method, url, body, self._tokens.get())
        if answer.status in (200, 201, 204):
            return answer
        raise refused(answer, operation)

    def _send(self, operation: str, method: str, url: str, body: Json | None, token: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if body is None:
            return self._http.send(operation, method, url, headers=headers)
        headers["Content-Type"] = "application/json"
        return self._http.send(operation, method, url, headers=headers, content=json.dumps(body).encode())
