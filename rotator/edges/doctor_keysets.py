"""
Keysets over Microsoft Graph for the command `doctor`, which also reads what the daemon does not need.

It only reads. Sources: Graph's page on trustFrameworkKey_v2 (list); "Access tokens in the Microsoft
identity platform" (the claim `roles`).
"""

from rotator.edges.answers import parse_object
from rotator.edges.graph import GraphKeysets
from rotator.edges.listing import key_ids


class DoctorKeysets(GraphKeysets):
    """The keysets of one tenant, with `permissions` and `list_keys`."""

    def permissions(self) -> tuple[str, ...] | None:
        """
        The application permissions in the access token; None if the token cannot be read.

        Raises:
            RequestError: there is no token; the message says why.

        """
        return self._requests.permissions()

    def list_keys(self, keyset_id: str) -> frozenset[str]:
        """
        The kids that `keys_v2` lists, with one request and without a retry.

        Raises:
            RequestError: the request failed.

        """
        answer = self._requests.send("list_keys", "GET", self._url(keyset_id, "keys_v2"), None)
        return key_ids(parse_object(answer))
