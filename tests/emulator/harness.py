"""A bench: an emulator on a clock that tests move, and a client that trusts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotator.emulator.model.seed import DEMO_CLIENT_ID, DEMO_SECRET, KeySeed, KeysetSeed, TenantSeed
from rotator.emulator.model.switches import Switches

if TYPE_CHECKING:
    import httpx

    from rotator.emulator.model.tenants import Tenant
    from rotator.emulator.server import Emulator

NOW = 1_800_000_000
DAY = 86_400
KEYSETS = "/beta/trustFramework/keySets"


class MovingClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now: float = NOW

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


class Bench:
    """An emulator and a client of it."""

    def __init__(self, emulator: Emulator, clock: MovingClock, http: httpx.Client) -> None:
        self.emulator = emulator
        self.clock = clock
        self.http = http
        self._tokens: dict[str, str] = {}

    @property
    def tenant(self) -> Tenant:
        return self.emulator.tenants[0]

    def token_form(self, **changes: str) -> dict[str, str]:
        form = {
            "grant_type": "client_credentials",
            "client_id": DEMO_CLIENT_ID,
            "client_secret": DEMO_SECRET,
            "scope": f"{self.emulator.url}/.default",
        }
        return {name: value for name, value in {**form, **changes}.items() if value}

    def ask_token(self, tenant: str = "contoso.onmicrosoft.com", **changes: str) -> httpx.Response:
        return self.http.post(f"/{tenant}/oauth2/v2.0/token", data=self.token_form(**changes))

    def token(self, tenant: str = "contoso.onmicrosoft.com") -> str:
        if tenant not in self._tokens:
            self._tokens[tenant] = self.ask_token(tenant).json()["access_token"]
        return self._tokens[tenant]

    def graph(
        self,
        method: str,
        path: str = "",
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Ask for something below keySets, as the app that may write."""
        sent = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        more = {} if body is None else {"json": body}
        url = path if path.startswith("http") else f"{KEYSETS}{path}"
        return self.http.request(method, url, headers={**sent, **(headers or {})}, **more)

    def generate(self, keyset: str = "B2C_1A_Sig", **changes: Any) -> httpx.Response:
        """Ask for a key; a member given as None is left out."""
        asked = {"use": "sig", "kty": "RSA", "nbf": NOW + DAY, "exp": NOW + 90 * DAY, **changes}
        body = {name: value for name, value in asked.items() if value is not None}
        return self.graph("POST", f"/{keyset}/generateKey", body)

    def kids(self, keyset: str = "B2C_1A_Sig") -> list[str]:
        """The kids as the model has them."""
        return [key.kid for key in self.tenant.keyset(keyset).keys]


def contoso(**switches: Any) -> TenantSeed:
    """A tenant with a keyset of each kind."""
    return TenantSeed(
        keysets=(
            KeysetSeed(
                id="B2C_1A_Sig",
                keys=(KeySeed(kid="first", nbf=NOW - 80 * DAY, exp=NOW + 10 * DAY),),
            ),
            KeysetSeed(id="B2C_1A_Empty"),
            KeysetSeed(id="B2C_1A_Enc", keys=(KeySeed(use="enc", nbf=NOW - DAY, exp=NOW + DAY),)),
            KeysetSeed(id="B2C_1A_Secret", keys=(KeySeed(kty="oct"),)),
        ),
        policies={"B2C_1A_signin": ("B2C_1A_Sig",)},
        switches=Switches(**switches),
    )
