"""
Keysets over Microsoft Graph (beta, `trustFramework/keySets`).

It lists, reads and creates keysets, and generates and enables keys. It cannot replace or delete anything.
Reads are retried if that may help. A write is sent once; the caller decides whether to send it again
(`graph_requests`).

Sources: Graph's pages on trustFrameworkKeySet (list, create, get, generateKey) and
trustFrameworkKey_v2 (update).
"""

from collections.abc import Callable, Collection
from functools import partial
from urllib.parse import quote

from rotator.core.errors import Effect, FailureKind, RequestError
from rotator.core.inventory import Listed
from rotator.core.keyset import Keyset
from rotator.core.policy import KeySpec
from rotator.edges.answers import (
    Json,
    is_text,
    parse_keyset,
    parse_object,
    render_spec,
    unreadable,
    unwrapped,
)
from rotator.edges.graph_requests import Clock, GraphRequests
from rotator.edges.listing import MAX_PAGES, Listing, kids_of, next_page

LIST_TIMEOUT = 300.0  # seconds for all pages together


class GraphKeysets:
    """The keysets of one tenant."""

    def __init__(self, root: str, requests: GraphRequests, *, clock: Clock) -> None:
        """No request is made yet. *root*: the base URL of Graph, https and without a path."""
        self._keysets = f"{root.rstrip('/')}/beta/trustFramework/keySets"
        self._requests = requests
        self._clock = clock

    def list_keysets(self, wanted: Collection[str], max_others: int = 0) -> Listed:
        """
        List the keysets *wanted* that the tenant has, and up to *max_others* further ones.

        Makes one request, and one for each further page. The value of a keyset that cannot be
        parsed is the error, so that it does not affect the others. If no keyset has exactly a
        wanted id, one that differs only in case counts.

        Raises:
            RequestError: the tenant could not be listed.

        """
        listing = Listing(wanted, max_others)
        self._pages(listing.add)
        return listing.found()

    def kids(self) -> frozenset[str]:
        """
        The kids of all keysets of the tenant, with one request and one for each further page.

        Raises:
            RequestError: the tenant could not be listed.

        """
        kids = set[str]()
        self._pages(lambda page: kids.update(kids_of(page)))
        return frozenset(kids)

    def _pages(self, take: Callable[[Json], None]) -> None:
        """Call *take* with each page of the list of keysets."""
        url, seen, until = self._keysets, set[str](), self._clock.monotonic() + LIST_TIMEOUT
        while url:
            if url in seen or len(seen) >= MAX_PAGES or self._clock.monotonic() > until:
                raise unreadable("the list of keysets repeats a page or has too many pages (@odata.nextLink)")
            seen.add(url)
            url = self._requests.read("list_keysets", url, partial(_page, take, url))

    def fetch(self, keyset_id: str) -> Keyset:
        """
        Read one keyset.

        Raises:
            RequestError: it could not be read.

        """
        return self._requests.read("get_keyset", self._url(keyset_id), partial(parse_keyset, keyset_id))

    def prepare(self) -> None:
        """Get a token for a write, so that the write itself does not wait for one."""
        self._requests.prepare()

    def create(self, keyset_id: str) -> None:
        """
        Ask once for a keyset without keys. The service refuses an id that exists.

        Raises:
            RequestError: its `effect` says whether the keyset may be there all the same.

        """
        self._requests.send("create_keyset", "POST", self._keysets, {"id": keyset_id})

    def generate(self, keyset_id: str, spec: KeySpec) -> str | None:
        """
        Request the key that *spec* describes, without a retry. A key cannot be removed again.

        Returns:
            The kid of the key; None if the service does not name it.

        Raises:
            RequestError: its `effect` says whether the key may exist nevertheless.

        """
        answer = self._requests.send("generate_key", "POST", self._url(keyset_id, "generateKey"), render_spec(spec))
        try:
            raw = unwrapped(parse_object(answer))
        except RequestError as error:
            raise RequestError(error.failure, Effect.UNKNOWN) from error
        kid = raw.get("kid")
        return kid if is_text(kid) and kid else None

    def enable(self, keyset_id: str, kid: str) -> None:
        """
        Enable one key, and change nothing else.

        Raises:
            RequestError: the service did not confirm it.

        """
        self._requests.send("enable_key", "PATCH", self._url(keyset_id, "keys_v2", kid), {"status": "enabled"})

    def active_kid(self, keyset_id: str) -> str | None:
        """
        The kid of the active key according to the service; None if it names none.

        Raises:
            RequestError: the request failed.

        """
        try:
            answer = self._requests.send("get_active_key", "GET", self._url(keyset_id, "getActiveKey"), None)
        except RequestError as error:
            # Without a valid key the service answers with one of these statuses; it is not documented with which.
            if error.failure.kind in (FailureKind.NOT_FOUND, FailureKind.BAD_REQUEST):
                return None
            raise
        if not answer.body.strip():
            return None
        kid = unwrapped(parse_object(answer)).get("kid")
        return kid if is_text(kid) and kid else None

    def _url(self, *path: str) -> str:
        if not {"", ".", ".."}.isdisjoint(path):
            raise unreadable("a name in the keyset is empty or a dot, so it cannot be part of a URL; nothing was sent")
        return "/".join((self._keysets, *(quote(part, safe="") for part in path)))


def _page(take: Callable[[Json], None], url: str, page: Json) -> str:
    """Call *take* with the page at *url*; returns the URL of the next page."""
    take(page)
    return next_page(url, page)
