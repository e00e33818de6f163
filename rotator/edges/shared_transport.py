"""One transport, and one pool of connections, for the clients of all tenants."""

import weakref

import httpx


class SharedTransport(httpx.BaseTransport):
    """
    One transport for several clients, closed when the last of them is garbage-collected.

    The clients of all tenants share a pool, so that there are few idle connections, however many
    tenants there are: an idle connection is closed only when its pool is used again.
    """

    def __init__(self, inner: httpx.BaseTransport) -> None:
        """*inner* carries the requests."""
        self._inner = inner
        weakref.finalize(self, inner.close).atexit = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Do nothing: another client may still use it."""
