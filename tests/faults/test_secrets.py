"""
Nothing secret is ever printed, whatever goes wrong and however much is logged.

Runs of the real program in every mode, with every log level and format, over every kind
of credential, good and bad, over many faults, over services that echo what they are
sent, and with an exception forced at every layer, which quotes all that it was given.
Their whole output and every page is searched for client secrets, assertions, private
keys and each access token that was ever issued, and for any part of one.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from end_to_end.harness import SECRET, Bench, Tenant, due, fresh
from faults.rawserver import RawServer, raw_server, token_of
from faults.rig import Daemon, Process, configure, play_once

from rotator.emulator import server
from rotator.emulator.entra.login import Tokens
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.certificates import client_certificate
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import App, FederatedCredential, Secret

WRONG_SECRET = "wR0~nG-secret-that-opens-nothing.zZ9"
VARIABLE = "B2C_CLIENT_SECRET"
ISSUER, SUBJECT = "https://issuer.example.invalid/cluster", "system:serviceaccount:b2c:rotator"
PAGES = ("/", "/status.json", "/metrics")
LIST, GENERATE = Operation.LIST_KEYSETS, Operation.GENERATE_KEY
LATE = 40.0
"""Seconds after which an exception that was not reported counts as lost."""

PIECE = 16
"""Characters of a secret that are a leak already."""

RUNS = {
    "once, json, debug": ("--once", "json", "debug"),
    "dry run, console, info": ("--dry-run", "console", "info"),
    "dry run, json, error": ("--dry-run", "json", "error"),
    "status, console, debug": ("status", "console", "debug"),
    "daemon, console, debug": ("", "console", "debug"),
    "daemon, json, warning": ("", "json", "warning"),
}
"""Mode, log format and log level of the runs over everything; each log level and format is there."""

FAULTS = (
    Fault(what=Kind.STATUS, where=Operation.DISCOVERY, status=400),
    Fault(what=Kind.HTML, where=Operation.DISCOVERY),
    Fault(what=Kind.LIST, where=Operation.TOKEN),
    Fault(what=Kind.CUT_JSON, where=Operation.TOKEN),
    Fault(what=Kind.TRUNCATED, where=Operation.TOKEN),
    Fault(what=Kind.MISSING_MEMBER, where=Operation.TOKEN, member="access_token"),
    Fault(what=Kind.BODY, where=Operation.TOKEN, status=400, body=json.dumps({"error": SECRET})),
    Fault(what=Kind.BODY, where=Operation.TOKEN, status=401, body=json.dumps({"error_description": SECRET})),
    Fault(what=Kind.STATUS, where=LIST, status=401),
    Fault(what=Kind.STATUS, where=LIST, status=403),
    Fault(what=Kind.THROTTLED, where=LIST, retry_after=3600),
    Fault(what=Kind.RESET, where=LIST),
    Fault(what=Kind.HUGE, where=LIST),
    Fault(what=Kind.REDIRECT, where=LIST),
    Fault(what=Kind.FOREIGN_NEXT_LINK, where=LIST),
    Fault(what=Kind.WRONG_DATE, skew=-400),
    Fault(what=Kind.STATUS, where=GENERATE, status=500),
    Fault(what=Kind.RESET, where=GENERATE),
    Fault(what=Kind.LOST, where=GENERATE),
    Fault(what=Kind.ALTERED, where=GENERATE),
)  # fmt: skip

LAYERS = {
    "credential": "rotator.edges.tokens:client_credential",
    "httpx": "httpx:Client.stream",
    "answer": "rotator.edges.http:_read",
    "msal": "msal:ConfidentialClientApplication.acquire_token_for_client",
    "tokens": "rotator.edges.tokens:Tokens.get",
    "http": "rotator.edges.http:Http.send",
    "graph": "rotator.edges.graph_requests:GraphRequests.send",
    "page": "rotator.edges.listing:parse_page",
    "keyset": "rotator.edges.graph:parse_keyset",
    "decide": "rotator.core.look:decide",
    "generate": "rotator.edges.graph:GraphKeysets.generate",
    "confirm": "rotator.core.lifecycle:look_for_key",
}
"""Where an exception is forced in a pass."""

AT_THE_END = {"exit": "rotator.commands.once:exit_code"}
"""Where else an exception is forced in a pass, so that it ends at once."""

IN_A_DAEMON = {
    "sweep": "rotator.shell.sweeps:Sweeps.sweep",
    "outcome": "rotator.edges.metrics:Metrics.on_event",
    "metrics": "rotator.edges.metrics:Metrics.render",
}
"""Where else an exception is forced in a daemon."""

AWAITED = {"forced, daemon": "forced at outcome"}
"""What comes only after a daemon is ready."""

PROOFS = ("certificate", "federated")
"""Further kinds of credential with which MSAL is made to fail."""

FORCE = """
import functools, importlib, sys

def force(name, where):
    module, _, path = where.partition(":")
    *parts, last = path.split(".")
    owner = functools.reduce(getattr, parts, importlib.import_module(module))
    honest, raised = getattr(owner, last), []

    def forced(*given, **named):
        if raised:
            return honest(*given, **named)
        raised.append(True)
        held = [vars(each) for each in given if hasattr(each, "__dict__")]
        raise RuntimeError(f"forced at {name}, given {given!r} {named!r}, which hold {held!r}")

    setattr(owner, last, forced)

for each in sys.argv[1].split(","):
    force(*each.split("="))
from rotator.cli import main
sys.exit(main(sys.argv[2:]))
"""
"""
Runs the program with an exception at some places, which quotes all that was given there.

Each place raises once: as tenants are visited one after the other, each falls for another.
"""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Files with credentials of every kind, and what is secret in them."""

    files: Mapping[str, Mapping[str, str]]
    app: App
    secrets: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Played:
    """All that was ever printed or served, by run; what must not be in it; and how many tokens were issued."""

    texts: Mapping[str, str]
    secrets: Mapping[str, str]
    issued: int


def credentials(folder: Path) -> Credentials:
    """Make credentials of every kind, good and bad."""
    (key, certificate), (other_key, other_certificate) = client_certificate(), client_certificate()
    signer = rsa.generate_private_key(65537, 2048)
    assertions = {
        "federated": assertion(signer, ISSUER),
        "wrong-federated": assertion(signer, "https://elsewhere.example.invalid"),
        "federated-of-no-use": "not-even-a-jwt-but-secret-all-the-same",
    }
    encrypted = serialization.load_pem_private_key(key.encode(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"a passphrase"),
    )
    garbled = "\n".join(line[::-1] if len(line) == 64 else line for line in key.splitlines())
    contents = {
        "certificate_file": {
            "certificate": key + certificate,
            "wrong-certificate": other_key + other_certificate,
            "garbled-certificate": f"{garbled}\n{certificate}",
            "encrypted-certificate": encrypted.decode() + certificate,
            "half-a-certificate": key[: len(key) // 2],
            "two-keys": key + other_key + certificate,
        },
        "client_secret_file": {"secret": f"{SECRET}\n", "wrong-secret": WRONG_SECRET, "key-as-secret": key},
        "federated_token_file": assertions,
    }
    files = {"secret-in-environment": {"client_secret_env": VARIABLE}}
    for member, named in contents.items():
        for name, content in named.items():
            path = folder / name
            path.write_text(content)
            files[name] = {member: str(path)}
    public = signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    federated = FederatedCredential(issuer=ISSUER, subject=SUBJECT, public_key=public.decode())
    app = App(secrets=(Secret(value=SECRET),), certificates=(certificate,), federated=(federated,))
    return Credentials(
        files=files,
        app=app,
        secrets={
            "the client secret": SECRET,
            "a wrong secret": WRONG_SECRET,
            **{f"the assertion in {name}": text for name, text in assertions.items()},
            **{
                f"private key {n}": private_part(pem)
                for n, pem in enumerate((key, other_key, garbled, encrypted.decode()))
            },
        },
    )


def assertion(signer: rsa.RSAPrivateKey, issuer: str) -> str:
    """What a cluster says for a workload."""
    claims = {"iss": issuer, "sub": SUBJECT, "aud": "api://AzureADTokenExchange", "nbf": 0, "exp": 4_000_000_000}
    return jwt.encode(claims, signer, "RS256")


def private_part(pem: str) -> str:
    """The lines of a private key that come after all that is public in it: PEM, and the modulus."""
    return "\n".join(pem.strip().splitlines()[8:-1])


ECHOES = {
    "echo-in-code": ("403 No", "X-Echo: none", '{"error": {"code": "TOKEN"}}'),
    "echo-in-request-id": ("403 No", "request-id: TOKEN", "{}"),
    "echo-in-content-type": ("200 OK", "Content-Type: TOKEN", "no JSON"),
    "echo-in-location": ("302 Found", "Location: https://example.invalid/TOKEN", "{}"),
    "echo-in-link": ("200 OK", "X-Echo: none", '{"value": [], "@odata.nextLink": "https://example.invalid/TOKEN"}'),
    "echo-in-kid": (
        "200 OK",
        "X-Echo: none",
        '{"value": [{"id": "B2C_1A_Fresh", "keys": [{"kid": "TOKEN", "use": "sig", "exp": 4000000000}]}]}',
    ),
}
"""Answers to requests for keysets that quote the token, by tenant: status, a header, and the body."""


def echo(tenant: str) -> bytes:
    """What such a service sends."""
    status, header, body = (text.replace("TOKEN", token_of(tenant)) for text in ECHOES[tenant])
    return f"HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def play(folder: Path) -> Played:
    """Run it all, and collect all that is printed or served."""
    issued: list[str] = []

    class Recording(Tokens):
        def issue(self, **claims: Any) -> str:
            issued.append(super().issue(**claims))
            return issued[-1]

    made = credentials(folder)
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(server, "Tokens", Recording)
        echoing = stack.enter_context(raw_server({name: [echo(name)] for name in ECHOES}))
        bench = stack.enter_context(Bench(folder))
        broken = [Tenant(name=f"broken-{n}", keysets=(due(),)) for n in range(len(FAULTS))]
        proving = [Tenant(name=name, keysets=(due(),), credential=files) for name, files in made.files.items()]
        quoting = [Tenant(name=name, keysets=(fresh(),)) for name in ECHOES]
        forced = [Tenant(name=f"forced-{name}", keysets=(due(),)) for name in (*LAYERS, "daemon", "exit")]
        forced += [Tenant(name=f"forced-{name}", keysets=(due(),), credential=made.files[name]) for name in PROOFS]
        bench.begin(*broken, *proving, *quoting, *forced)
        for tenant, fault in zip(broken, FAULTS, strict=True):
            bench.emulator.inject(replace(fault, tenant=tenant.domain))
        # In the daemon, a sweep is over before the look is that is forced to raise.
        late = Fault(what=Kind.SLOW, where=LIST, delay=1.5, times=1, tenant="forced-daemon.onmicrosoft.com")
        bench.emulator.inject(late)
        for tenant in (*proving, *forced):
            bench.emulator.tenant(tenant.domain).register(made.app)
        trust(bench, echoing)
        begun = chain(over_everything(bench, [*broken, *proving, *quoting]), forced_everywhere(bench))
        processes = {name: stack.enter_context(closing(process)) for name, process in begun}
        texts = {name: all_of(process, AWAITED.get(name, "")) for name, process in processes.items()}
    tokens = {f"token {n}": each for n, each in enumerate(issued)} | {
        f"token of {name}": token_of(name) for name in ECHOES
    }
    return Played(texts=texts, secrets={**made.secrets, **tokens}, issued=len(issued))


def trust(bench: Bench, echoing: RawServer) -> None:
    """Let the tenants that are echoed to be if that is done."""
    authorities = bench.folder / "authorities.pem"
    authorities.write_text(bench.emulator.ca_file.read_text() + echoing.ca_pem)
    bench.content["ca_file"] = str(authorities)
    for each in bench.content["tenants"]:
        if each["name"] in ECHOES:
            each["cloud"] = {"graph": echoing.url, "login": echoing.url}


def over_everything(bench: Bench, tenants: Sequence[Tenant]) -> Iterator[tuple[str, Process]]:
    """The runs over all that may go wrong, begun."""
    for name, (mode, style, level) in RUNS.items():
        path = configure(bench, name, tenants, dry_run=mode != "--once", log={"format": style, "level": level})
        output = ("--output", "json") if mode and style == "json" else ()
        if mode:
            yield name, Process(bench, "-m", "rotator", mode, *output, "--config", str(path), env={VARIABLE: SECRET})
        else:
            yield name, Daemon(bench, path, env={VARIABLE: SECRET})


def forced_everywhere(bench: Bench) -> Iterator[tuple[str, Process]]:
    """A pass and a daemon with an exception at every layer, and a pass with each further kind of credential, begun."""

    def begin(name: str, tenants: Sequence[Tenant], layers: Mapping[str, str]) -> tuple[Path, tuple[str, ...]]:
        shared = {"concurrency": 1, "check_interval": "1s", "log": {"format": "json", "level": "debug"}}
        where = ",".join(f"{layer}={place}" for layer, place in layers.items())
        return configure(bench, name, tenants, **shared), ("-c", FORCE, where)

    path, script = begin("forced", [Tenant(name=f"forced-{layer}") for layer in LAYERS], LAYERS)
    yield "forced", Process(bench, *script, "--once", "--output", "json", "--config", str(path))
    path, script = begin("forced-exit", [Tenant(name="forced-exit")], AT_THE_END)
    yield "forced, exit", Process(bench, *script, "--once", "--config", str(path))
    path, script = begin("forced-daemon", [Tenant(name="forced-daemon")], IN_A_DAEMON)
    yield "forced, daemon", Daemon(bench, path, *script)
    for proof in PROOFS:
        path, script = begin(f"forced-{proof}", [Tenant(name=f"forced-{proof}")], {"msal": LAYERS["msal"]})
        yield f"forced, {proof}", Process(bench, *script, "--once", "--config", str(path))


def all_of(process: Process, awaited: str) -> str:
    """All that a process prints and serves; *awaited* is waited for, but not for ever."""
    if not isinstance(process, Daemon):
        finished = process.wait()
        return finished.out + finished.err
    process.ready()
    pages = [process.get(path)[1] for path in PAGES]
    until = time.monotonic() + LATE
    while awaited not in process.printed and time.monotonic() < until:
        time.sleep(0.1)
    finished = process.stop()
    return "\n".join([finished.out, finished.err, *pages])


def pieces(secret: str) -> Iterator[str]:
    """The parts of a secret, none of which may be visible; parts that are too short do not count."""
    for line in secret.splitlines():
        if len(line) >= PIECE:
            yield from (line[at : at + PIECE] for at in range(0, len(line) - PIECE, PIECE // 2))
            yield line[-PIECE:]


def found(text: str, secrets: Mapping[str, str]) -> list[str]:
    """The secrets of which a part is in *text*, by name."""
    seen = {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)}
    return [name for name, secret in secrets.items() if not seen.isdisjoint(pieces(secret))]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The result."""
    return play_once(tmp_path_factory, "secrets", play)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("run", RUNS)
def test_nothing_secret_is_printed(played: Played, run: str) -> None:
    """Whatever a run prints or serves, no part of a secret, a token, an assertion or a private key is in it."""
    text = played.texts[run]
    assert not re.search(r'kind"?[=:] ?"?internal', text)
    assert found(text, played.secrets) == []
    assert not re.search(r"eyJ|BEGIN|PRIVATE", text)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("run", "layer"),
    [
        *(("forced", layer) for layer in LAYERS),
        *(("forced, daemon", layer) for layer in IN_A_DAEMON),
        *(("forced, exit", layer) for layer in AT_THE_END),
        *((f"forced, {proof}", "msal") for proof in PROOFS),
    ],
)
def test_nothing_secret_is_in_a_traceback(played: Played, run: str, layer: str) -> None:
    """An exception that quotes all it was given, at whatever layer, brings nothing secret into the log."""
    text = played.texts[run]
    # What MSAL raises becomes a failure with nothing but the type of the exception.
    forced = "to token cannot be used (RuntimeError)" if layer == "msal" else f"RuntimeError: forced at {layer}"
    assert forced in text, "nothing was forced there"
    assert found(text, played.secrets) == []
    assert "eyJ" not in text


@pytest.mark.timeout(400)
def test_search_finds_what_is_there(played: Played) -> None:
    """A secret that is planted in the output of a run is found, each of them, and so is a part of one."""
    assert played.issued > 20
    assert len(played.secrets) > played.issued
    text = played.texts["once, json, debug"][:2_000]
    for name, secret in played.secrets.items():
        assert [name] == found(f"{text} {secret} {text}", {name: secret})
        assert [name] == found(f"{text}...{secret.splitlines()[0][-PIECE:]}", {name: secret})


@pytest.mark.timeout(400)
def test_runs_had_something_to_tell(played: Played) -> None:
    """The runs used valid and invalid credentials, and the reason of each refusal is reported."""
    text = played.texts["once, json, debug"]
    for said in ("AADSTS7000215", "AADSTS700027", "AADSTS70021", "certificate_file", "keyset.rotated", "unreadable"):
        assert said in text
