"""Entra: discovery, tokens, the three credentials, and who Graph lets in."""

import ssl
import time
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import jwt
import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rotator.emulator.http.certificates import client_certificate
from rotator.emulator.model.keys import base64url
from rotator.emulator.model.seed import (
    DEMO_CLIENT_ID,
    DEMO_SECRET,
    READ_ROLE,
    WRITE_ROLE,
    App,
    FederatedCredential,
    KeysetSeed,
    Secret,
    Seed,
    TenantSeed,
)
from rotator.emulator.server import Emulator

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def public_pem(private):
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.fixture(scope="module")
def issuer():
    """Somebody else's signing key."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def certificate():
    """A private key and a certificate, PEM."""
    return client_certificate()


@pytest.fixture(scope="module")
def login(issuer, certificate):
    """An emulator on the host's clock, whose app has all three credentials; and a client."""
    credential = FederatedCredential(issuer="https://issuer.example", subject="pod", public_key=public_pem(issuer))
    app = App(
        secrets=(Secret(value=DEMO_SECRET), Secret(value="old", expires=int(time.time()) - 1)),
        certificates=(certificate[1],),
        federated=(credential,),
    )
    seed = Seed(tenants=(TenantSeed(apps=(app,), keysets=(KeysetSeed(id="B2C_1A_X"),)),))
    with Emulator(seed) as emulator:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        with httpx.Client(verify=context, base_url=emulator.url, trust_env=False) as http:
            yield emulator, http


class FormClient:
    """
    An httpx client whose forms MSAL can send.

    MSAL gives the assertion of a certificate as bytes, and httpx would send their repr.
    """

    def __init__(self, http):
        self._http = http

    def get(self, url, **options):
        return self._http.get(url, **options)

    def post(self, url, *, data, headers, params=None):
        form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        return self._http.post(url, params=params, content=urlencode(data), headers=form)

    def close(self):
        pass


def acquire(login, credential, tenant="contoso.onmicrosoft.com"):
    emulator, http = login
    if isinstance(credential, dict) and "private_key" in credential:
        http = FormClient(http)
    app = msal.ConfidentialClientApplication(
        DEMO_CLIENT_ID,
        client_credential=credential,
        authority=f"{emulator.url}/{tenant}",
        http_client=http,
        instance_discovery=False,
    )
    return app.acquire_token_for_client([f"{emulator.url}/.default"])


def listed(login, token):
    return login[1].get("/beta/trustFramework/keySets", headers={"Authorization": f"Bearer {token}"})


def federated(issuer, now, **changes):
    claims = {
        "iss": "https://issuer.example",
        "sub": "pod",
        "aud": "api://AzureADTokenExchange",
        "exp": now + 600,
        "iat": now,
        **changes,
    }
    return jwt.encode(claims, issuer, "RS256")


def test_msal_secret(login):
    """Unpatched MSAL gets a token for a client secret, and Graph takes it."""
    result = acquire(login, DEMO_SECRET)
    assert result["expires_in"] == 3599
    assert listed(login, result["access_token"]).status_code == 200


def test_msal_tenant_guid(login):
    """A tenant is known by its GUID as well."""
    assert "access_token" in acquire(login, DEMO_SECRET, login[0].tenants[0].id)


def test_msal_certificate(login, certificate):
    """A certificate's assertion (PS256 and x5t#S256) is taken."""
    key, public = certificate
    result = acquire(login, {"private_key": key, "public_certificate": public})
    assert listed(login, result["access_token"]).status_code == 200


@pytest.mark.filterwarnings("ignore:.*thumbprint.*")
def test_msal_certificate_by_sha1(login, certificate):
    """The older form (RS256 and x5t) is taken, too."""
    key, public = certificate
    sha1 = x509.load_pem_x509_certificate(public.encode()).fingerprint(hashes.SHA1()).hex()
    assert "access_token" in acquire(login, {"private_key": key, "thumbprint": sha1})


def test_msal_federated(login, issuer):
    """A federated assertion is taken, and requested again at every wire request."""
    result = acquire(login, {"client_assertion": lambda: federated(issuer, time.time())})
    assert listed(login, result["access_token"]).status_code == 200


def test_msal_foreign_certificate(login):
    """A certificate that is not registered is a bad signature."""
    key, public = client_certificate()
    result = acquire(login, {"private_key": key, "public_certificate": public})
    assert result["error_codes"] == [700027]


def test_msal_forged_certificate(login, certificate):
    """The registered thumbprint on an assertion that another key signed is found out."""
    key, _ = client_certificate()
    result = acquire(login, {"private_key": key, "public_certificate": certificate[1]})
    assert (result["error"], result["error_codes"]) == ("invalid_client", [700027])


@pytest.mark.parametrize(
    "claims",
    [{"iss": "https://other.example"}, {"sub": "other"}, {"aud": "https://graph.microsoft.com"}],
    ids=["issuer", "subject", "audience"],
)
def test_federated_no_match(login, issuer, claims):
    """Issuer, subject and audience of a federated assertion all have to match."""
    result = acquire(login, {"client_assertion": lambda: federated(issuer, time.time(), **claims)})
    assert (result["error"], result["error_codes"]) == ("invalid_request", [70021])


def test_federated_forged(login):
    """An assertion that the issuer did not sign is found out."""
    stranger = rsa.generate_private_key(65537, 2048)
    result = acquire(login, {"client_assertion": lambda: federated(stranger, time.time())})
    assert result["error_codes"] == [700027]


def test_federated_expired(login, issuer):
    """An assertion that has expired is refused."""
    late = {"exp": time.time() - 3600, "iat": time.time() - 7200}
    result = acquire(login, {"client_assertion": lambda: federated(issuer, time.time(), **late)})
    assert result["error_codes"] == [700024]


def certificate_assertion(login, certificate, **changes):
    loaded = x509.load_pem_x509_certificate(certificate[1].encode())
    claims = {
        "iss": DEMO_CLIENT_ID,
        "sub": DEMO_CLIENT_ID,
        "aud": f"{login[0].url}/contoso.onmicrosoft.com/oauth2/v2.0/token",
        "exp": time.time() + 600,
        **changes,
    }
    x5t = base64url(loaded.fingerprint(hashes.SHA256()))
    return jwt.encode(claims, certificate[0], "PS256", headers={"x5t#S256": x5t})


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, None),
        ({"sub": "somebody"}, 700021),
        ({"aud": "https://login.example/contoso.onmicrosoft.com"}, 700023),
        ({"exp": 1_000_000_000}, 700024),
        ({"exp": "soon"}, 700024),
        ({"exp": None}, 700024),
    ],
    ids=["right", "subject", "audience", "expired", "no number", "undated"],
)
def test_certificate_claims(login, certificate, changes, number):
    """Each claim of a certificate's assertion is checked."""
    form = {
        "grant_type": "client_credentials",
        "client_id": DEMO_CLIENT_ID,
        "scope": f"{login[0].url}/.default",
        "client_assertion_type": ASSERTION,
        "client_assertion": certificate_assertion(login, certificate, **changes),
    }
    answer = login[1].post("/contoso.onmicrosoft.com/oauth2/v2.0/token", data=form).json()
    assert answer.get("error_codes", [None]) == [number]


def test_certificate_audience_tenant(login, certificate):
    """An assertion that was made for another tenant of the same host is refused."""
    other = f"{login[0].url}/fabrikam.onmicrosoft.com/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": DEMO_CLIENT_ID,
        "scope": f"{login[0].url}/.default",
        "client_assertion_type": ASSERTION,
        "client_assertion": certificate_assertion(login, certificate, aud=other),
    }
    answer = login[1].post("/contoso.onmicrosoft.com/oauth2/v2.0/token", data=form)
    assert answer.json()["error_codes"] == [700023]


def test_secret_expired(login):
    """A secret that has expired is distinguished from a wrong one."""
    assert acquire(login, "old")["error_codes"] == [7000222]


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "nobody"}, 400, "unauthorized_client", 700016),
        ({"scope": "https://graph.microsoft.com/User.Read"}, 400, "invalid_scope", 70011),
        ({"scope": "https://elsewhere.example/.default"}, 400, "invalid_resource", 500011),
        ({"scope": ""}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"client_assertion": "x"}, 400, "invalid_request", 900144),
        (
            {"client_assertion": "x", "client_assertion_type": ASSERTION},
            400,
            "invalid_request",
            50027,
        ),
    ],
)
def test_token_refused(bench, changes, status, error, number):
    """Each mistake has Entra's status, error and number, in Entra's body."""
    answer = bench.ask_token(**changes)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert {"correlation_id", "trace_id", "timestamp"} <= body.keys()


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", "oauth2/v2.0/token"])
def test_tenant_unknown(bench, path):
    """An unknown tenant is a 400 at discovery already."""
    method = "POST" if path.endswith("token") else "GET"
    answer = bench.http.request(method, f"/nobody.example/{path}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_tenant")
    assert answer.json()["error_codes"] == [90002]


def test_msal_tenant_unknown(login):
    """MSAL's constructor says so, too."""
    with pytest.raises(ValueError, match="Unable to get authority configuration"):
        acquire(login, DEMO_SECRET, "nobody.example")


def test_token_refresh_in(start):
    """`refresh_in` is sent where the switch says so, and `expires_in` is its switch's."""
    answer = start(token_lifetime=100, token_refresh_in=50).ask_token().json()
    assert (answer["expires_in"], answer["refresh_in"]) == (100, 50)
    assert "refresh_in" not in start().ask_token().json()


def test_token_keys(bench):
    """An access token can be checked against the keys that discovery points to."""
    config = bench.http.get("/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration").json()
    (key,) = bench.http.get(config["jwks_uri"]).json()["keys"]
    claims = jwt.decode(
        bench.token(),
        jwt.PyJWK(key),
        audience=bench.emulator.url,
        options={"verify_iat": False, "verify_nbf": False},
    )
    assert claims["tid"] == bench.tenant.id
    assert claims["appid"] == DEMO_CLIENT_ID
    assert claims["roles"] == [WRITE_ROLE]


def test_graph_token_missing(bench):
    """Without a token Graph answers 401."""
    answer = bench.http.get("/beta/trustFramework/keySets")
    assert (answer.status_code, code(answer)) == (401, "InvalidAuthenticationToken")


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "a b"])
def test_graph_token_garbage(bench, token):
    """It does the same for every token that it did not issue."""
    answer = bench.graph("GET", token=token)
    assert (answer.status_code, code(answer)) == (401, "InvalidAuthenticationToken")


def test_graph_token_foreign(bench, issuer):
    """So it does for a token that somebody else signed."""
    claims = jwt.decode(bench.token(), options={"verify_signature": False})
    answer = bench.graph("GET", token=jwt.encode(claims, issuer, "RS256"))
    assert (answer.status_code, code(answer)) == (401, "InvalidAuthenticationToken")


@pytest.mark.parametrize(("seconds", "status"), [(3598, 200), (3599, 401)])
def test_graph_token_expired(bench, seconds, status):
    """A token is good until the second at which it expires."""
    token = bench.token()
    bench.clock.move(seconds)
    assert bench.graph("GET", token=token).status_code == status


def test_graph_token_tenant(start):
    """The tenant of a Graph request is the token's."""
    one = TenantSeed(domain="one.onmicrosoft.com", keysets=(KeysetSeed(id="B2C_1A_One"),))
    two = TenantSeed(domain="two.onmicrosoft.com", keysets=(KeysetSeed(id="B2C_1A_Two"),))
    bench = start(one, two)
    answers = [
        bench.graph("GET", token=bench.token(f"{name}.onmicrosoft.com")).json()["value"] for name in ("one", "two")
    ]
    assert [[keyset["id"] for keyset in answer] for answer in answers] == [
        ["B2C_1A_One"],
        ["B2C_1A_Two"],
    ]


NEEDS_WRITE = [
    ("POST", "", {"id": "new"}),
    ("PUT", "/B2C_1A_Sig", {"keys": []}),
    ("DELETE", "/B2C_1A_Sig", None),
    ("POST", "/B2C_1A_Sig/generateKey", {"use": "sig", "kty": "RSA"}),
    ("POST", "/B2C_1A_Secret/uploadSecret", {"use": "sig", "k": "x"}),
    ("GET", "/B2C_1A_Sig/keys_v2", None),
    ("GET", "/B2C_1A_Sig/keys_v2/first", None),
    ("PATCH", "/B2C_1A_Sig/keys_v2/first", {"status": "disabled"}),
]
NEEDS_READ = [("GET", "", None), ("GET", "/B2C_1A_Sig", None), ("GET", "/B2C_1A_Sig/getActiveKey", None)]


@pytest.mark.parametrize(("method", "path", "body"), NEEDS_WRITE)
def test_graph_read_role_writes_nothing(bench, method, path, body):
    """Read.All is not enough to write, nor for anything under keys_v2."""
    app = bench.tenant.apps[DEMO_CLIENT_ID]
    bench.tenant.register(replace(app, roles=(READ_ROLE,)))
    answer = bench.graph(method, path, body)
    assert (answer.status_code, code(answer)) == (403, "Authorization_RequestDenied")


@pytest.mark.parametrize(("method", "path", "body"), NEEDS_READ)
@pytest.mark.parametrize(("roles", "status"), [((READ_ROLE,), 200), ((WRITE_ROLE,), 200), ((), 403)])
def test_graph_role_reads(bench, method, path, body, roles, status):
    """Either role is enough to read; without any, nothing is."""
    app = bench.tenant.apps[DEMO_CLIENT_ID]
    bench.tenant.register(replace(app, roles=roles))
    assert bench.graph(method, path, body).status_code == status


def test_login_clock_apart(clock):
    """Moving the tenant's time does not let tokens die, for MSAL knows only the host's."""
    with Emulator(clock=clock) as emulator:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        with httpx.Client(verify=context, base_url=emulator.url, trust_env=False) as http:
            token = acquire((emulator, http), DEMO_SECRET)["access_token"]
            clock.move(10 * 365 * 86400)
            assert listed((emulator, http), token).status_code == 200


def code(answer):
    return answer.json()["error"]["code"]
