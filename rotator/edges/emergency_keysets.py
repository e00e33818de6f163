"""
Keysets over Microsoft Graph for the command of an emergency, which alone may disable a key.

Only `commands.emergency` may import this module: the daemon has no way to disable a key.

Source: Graph's page on trustFrameworkKey_v2 (update).
"""

from rotator.edges.graph import GraphKeysets


class EmergencyKeysets(GraphKeysets):
    """The keysets of one tenant, with `disable`."""

    def disable(self, keyset_id: str, kid: str) -> None:
        """
        Disable one key, and touch nothing else. To enable it again undoes that.

        Raises:
            RequestError: the service did not say that it did.

        """
        self._requests.send("disable_key", "PATCH", self._url(keyset_id, "keys_v2", kid), {"status": "disabled"})
