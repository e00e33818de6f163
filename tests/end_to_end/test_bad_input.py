"""
Bad input of every kind: one clear line that says what is wrong, where, and what to do.

A configuration that is invalid ends the program with 78 before anything is asked;
what is wrong with one tenant or keyset is reported in its rows with 1, and costs no
other its key.
"""

import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from end_to_end.harness import Bench, Finished, Keyset, Tenant, due, fresh

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import Seed
from rotator.emulator.model.switches import Switches
from rotator.emulator.server import Emulator

NAMES = ("--once", "--output", "json")


def refused(bench: Bench, run: Finished) -> list[str]:
    """The lines of a run that was refused for its configuration, each without the file, its line, and the value."""
    assert run.code == 78
    assert run.out == ""
    assert not bench.emulator.requests, "the service was asked"
    lines = run.err.splitlines()
    source = re.compile(rf"{re.escape(str(bench.config))}:(\d+:)? ")
    assert all(source.match(line) for line in lines), run.err
    return [re.sub("'[^']*' is not a duration", "is not a duration", source.sub("", line, count=1)) for line in lines]


def test_configuration_missing(bench: Bench) -> None:
    """A file that is not there is named, with the ways to name another."""
    bench.begin(Tenant(keysets=(fresh(),)))
    bench.config.unlink()
    advice = "name the file with --config or ROTATOR_CONFIG"
    assert [f"cannot be read: No such file or directory; {advice}"] == refused(bench, bench.run("--once"))


def test_configuration_that_is_a_directory(bench: Bench, tmp_path: Path) -> None:
    """A path that is not a file is refused like a file that cannot be read."""
    bench.begin(Tenant(keysets=(fresh(),)))
    run = bench.run("--once", "--config", str(tmp_path))
    assert (run.code, len(run.err.splitlines())) == (78, 1)
    assert run.err.startswith(f"{tmp_path}: cannot be read: Is a directory; ")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param("", "is empty; it must name at least one tenant with one keyset", id="empty"),
        pytest.param(
            "# nothing but words\n", "is empty; it must name at least one tenant with one keyset", id="comments"
        ),
        pytest.param("null\n", "is empty; it must name at least one tenant with one keyset", id="null"),
        pytest.param("- a\n- b\n", "must be a mapping of names to values", id="a list"),
        pytest.param("just words\n", "must be a mapping of names to values", id="a text"),
        pytest.param("1: one\n", "must be a mapping of names to values", id="a number as a name"),
        pytest.param("{}\n", "tenants: is missing", id="nothing in it"),
        pytest.param("tenants: []\n", "tenants: must have at least one entry", id="no tenants"),
        pytest.param(
            "settle: 1s\ntenants: [\n",
            "line 3, column 1: expected the node content, but found '<stream end>'",
            id="broken YAML",
        ),
        pytest.param("settle: 1s\nsettle: 2s\n", "line 2, column 1: duplicate key settle", id="a key given twice"),
        pytest.param(
            "log: {level: info, level: debug}\n", "line 1, column 20: duplicate key level", id="twice, inside"
        ),
        pytest.param(
            "a: !!python/object/apply:os.system [true]\n", "line 1, column 4: could not determine", id="a tag"
        ),
        pytest.param("a: 2031-02-29\n", "line 1, column 4: not a valid timestamp", id="a day that is none"),
        pytest.param("a: 2026-11-24T25:00:00Z\n", "line 1, column 4: not a valid timestamp", id="an hour"),
        pytest.param("a: !!int foo\n", "line 1, column 4: not a valid int", id="a number that is none"),
        pytest.param("a: !!bool foo\n", "line 1, column 4: not a valid bool", id="neither true nor false"),
        pytest.param(f"a: {'9' * 5000}\n", "line 1, column 4: not a valid int", id="too long a number"),
        pytest.param("tenants: contoso\n", "tenants: must be a list", id="no list"),
        pytest.param("tenants: [contoso]\n", "tenants[0]: must be a mapping of names to values", id="no mapping"),
        pytest.param("\ttenants: 1\n", "line 1, column 1: found character '\\t' that cannot start", id="a tab"),
    ],
)
def test_configuration_that_is_no_configuration(bench: Bench, content: str, complaint: str) -> None:
    """A file that holds no mapping with tenants is refused with the place where that shows."""
    bench.begin(Tenant(keysets=(fresh(),)))
    bench.config.write_text(content)
    (line,) = refused(bench, bench.check())
    assert line.startswith(complaint)


def test_configuration_that_is_no_text(bench: Bench) -> None:
    """A file that is no UTF-8 is refused without its bytes."""
    bench.begin(Tenant(keysets=(fresh(),)))
    bench.config.write_bytes(b"\xff\xfe\x00")
    assert refused(bench, bench.check()) == ["is not UTF-8 text"]


SPAN = "write numbers with units and no spaces, such as 45s, 36h, 1h30m"
KEYSET = "tenants[0].keysets[0]"
CREDENTIALS = "client_secret_file, client_secret_env, certificate_file, federated_token_file"


def put(*path: str | int, value: object) -> Callable[[dict[str, object]], None]:
    """Something that sets a member of a configuration."""

    def change(content: dict[str, object]) -> None:
        at: object = content
        for part in path[:-1]:
            at = at[part]  # type: ignore[index]
        at[path[-1]] = value  # type: ignore[index]

    return change


@pytest.mark.parametrize(
    ("change", "complaints"),
    [
        pytest.param(
            put("chek_interval", value="1h"),
            ["chek_interval: unknown key; did you mean check_interval?"],
            id="unknown key",
        ),
        pytest.param(
            put("tenants", 0, "keysets", 0, "overlpa", value="1h"),
            [f"{KEYSET}.overlpa: unknown key; did you mean overlap?"],
            id="unknown key, deep inside",
        ),
        pytest.param(
            put("tenants", 0, "credential", "client_secret", value="kE8Q~not-a-real-secret-of-anybody.aB3"),
            [
                (
                    "tenants[0].credential.client_secret: unknown key; "
                    "secrets do not belong in this file: use client_secret_file or client_secret_env"
                )
            ],
            id="a secret in the file",
        ),
        pytest.param(
            put("check_interval", value=3600),
            [f"check_interval: is not a duration; {SPAN} (a bare number has no unit)"],
            id="bare number for a duration",
        ),
        pytest.param(
            put("tenants", 0, "keysets", 0, "rotate_every", value="90"),
            [f"{KEYSET}.rotate_every: is not a duration; {SPAN}"],
            id="bare number in quotes",
        ),
        pytest.param(
            put("defaults", value={"overlap": "P3M"}), [f"defaults.overlap: is not a duration; {SPAN}"], id="ISO 8601"
        ),
        pytest.param(
            put("check_interval", value="0s"), ["check_interval: must be longer than 0s"], id="no time at all"
        ),
        pytest.param(
            put("defaults", value={"rotate_every": "16d", "publication_lead": "48h", "renewal_window": "14d"}),
            [
                (
                    f"{KEYSET}: publication_lead (2d) + renewal_window (14d) must be shorter than rotate_every (16d); "
                    "they are too long by 1s"
                )
            ],
            id="numbers that collide",
        ),
        pytest.param(
            put("tenants", 0, "keysets", 0, "kty", value="oct"),
            [
                (
                    f"{KEYSET}: kty: oct with mode: rotate would generate a secret that cannot be read, "
                    "so other parties that share it would be locked out; "
                    "use mode: observe, or set accept_unreadable_secret: true"
                )
            ],
            id="oct",
        ),
        pytest.param(
            put("tenants", 0, "keysets", 0, "id", value="B2C_1A_Old.bak"),
            [f"{KEYSET}.id: is a backup of a deleted keyset, which cannot be rotated; remove it"],
            id="backup",
        ),
        pytest.param(
            put("tenants", 0, "keysets", 0, "id", value="TokenSigning"),
            [
                f"{KEYSET}.id: must be the full id of a keyset, B2C_1A_ and then letters, digits, '_', '-' or '.'",
            ],
            id="id without prefix",
        ),
        pytest.param(
            put("tenants", 0, "credential", value={"client_id": "x"}),
            [f"tenants[0].credential: needs exactly one of {CREDENTIALS}"],
            id="no credential",
        ),
        pytest.param(
            put("tenants", 0, "credential", "certificate_file", value="client.pem"),
            [f"tenants[0].credential: needs exactly one of {CREDENTIALS}"],
            id="two credentials",
        ),
        pytest.param(
            put("tenants", 0, "credential", "private_key_file", value="tls.key"),
            ["tenants[0].credential: private_key_file needs certificate_file"],
            id="a key without its certificate",
        ),
        pytest.param(
            put("tenants", 0, "credential", "certificate_password_file", value="password"),
            ["tenants[0].credential: certificate_password_file needs certificate_file"],
            id="a passphrase of nothing",
        ),
        pytest.param(
            put("tenants", 0, "cloud", value="mars"),
            ["tenants[0].cloud: must be global, china, usgov or usgov-dod"],
            id="unknown cloud",
        ),
        pytest.param(
            put("tenants", 0, "cloud", "graph", value="http://localhost:1"),
            ["tenants[0].cloud.graph: must be an https root without a path, such as https://localhost:8443"],
            id="no TLS",
        ),
        pytest.param(
            put("tenants", 0, "tenant_id", value="common"),
            ["tenants[0].tenant_id: must be the tenant's GUID or one of its domains"],
            id="no tenant",
        ),
        pytest.param(
            put("tenants", 0, "keysets", value=[]), ["tenants[0].keysets: must have at least one entry"], id="none"
        ),
        pytest.param(
            lambda content: content.update(settle=1, concurrency=0, log={"level": "loud"}, http={"port": 70000}),
            [
                f"settle: is not a duration; {SPAN} (a bare number has no unit)",
                "concurrency: must be at least 1",
                "log.level: must be debug, info, warning or error",
                "http.port: must be at most 65535",
            ],
            id="all at once",
        ),
    ],
)
def test_configuration_that_makes_no_sense(
    bench: Bench, change: Callable[[dict[str, object]], None], complaints: list[str]
) -> None:
    """Every fault is told in a line with its path, and none with a secret."""
    bench.begin(Tenant(keysets=(fresh(),)))
    change(bench.content)
    bench.write()
    assert complaints == refused(bench, bench.check())


@pytest.mark.parametrize("arguments", [("--once",), ("--dry-run",), ("status",), ()])
def test_configuration_that_makes_no_sense_to_any_command(bench: Bench, arguments: tuple[str, ...]) -> None:
    """Whatever was to be done with it, a configuration with a fault ends the program before anybody is asked."""
    bench.begin(Tenant(keysets=(fresh(),)), chek_interval="1h")
    complaint = "chek_interval: unknown key; did you mean check_interval?"
    assert [complaint] == refused(bench, bench.run(*arguments))


def test_configuration_with_a_name_or_keyset_twice(bench: Bench) -> None:
    """Two tenants of one name, and a keyset listed twice, are faults of the second."""
    bench.begin(Tenant(keysets=(fresh(),)))
    (tenant,) = bench.content["tenants"]
    bench.content["tenants"] = [tenant, tenant]
    bench.write()
    assert refused(bench, bench.check()) == [
        "tenants[1].name: duplicate tenant name contoso",
        "tenants[1].keysets[0].id: duplicate keyset B2C_1A_Fresh",
    ]


def test_configuration_with_faults_of_every_kind(bench: Bench) -> None:
    """What is wrong between values is told together with what is wrong with one, so that nobody fixes in rounds."""
    hasty = fresh("B2C_1A_Hasty", wanted={"rotate_every": "10d"})
    bench.begin(Tenant(keysets=(fresh(), hasty)), settle=5)
    (tenant,) = bench.content["tenants"]
    tenant["keysets"].insert(1, tenant["keysets"][0])
    other = {**tenant, "tenant_id": "other.onmicrosoft.com", "keysets": tenant["keysets"][:1]}
    bench.content["tenants"] = [tenant, other, "words"]
    bench.write()
    found = refused(bench, bench.check())
    assert len(found) == 5
    assert found[:2] == [
        f"settle: is not a duration; {SPAN} (a bare number has no unit)",
        "tenants[2]: must be a mapping of names to values",
    ]
    assert found[2] == "tenants[0].keysets[1].id: duplicate keyset B2C_1A_Fresh"
    assert found[3].startswith("tenants[0].keysets[2]: ")
    assert found[4] == "tenants[1].name: duplicate tenant name contoso"


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        pytest.param(
            {"ROTATOR_CHEK_INTERVAL": "1h"},
            "ROTATOR_CHEK_INTERVAL: unknown environment variable; did you mean ROTATOR_CHECK_INTERVAL?",
            id="mistyped",
        ),
        pytest.param({"ROTATOR_HTTP__PROT": "1"}, "http.prot: unknown key; did you mean port?", id="inside"),
        pytest.param(
            {"ROTATOR_HTTP_PORT": "9000"},
            "ROTATOR_HTTP_PORT: unknown environment variable; did you mean ROTATOR_HTTP__PORT?",
            id="one underscore",
        ),
        pytest.param(
            {"ROTATOR_SERVICE_PORT": "9464"},
            "ROTATOR_SERVICE_PORT: unknown environment variable; Kubernetes makes such variables "
            "for a Service of that name: set enableServiceLinks: false",
            id="of Kubernetes",
        ),
        pytest.param(
            {"ROTATOR_CHECK_INTERVAL": "60"},
            f"check_interval: is not a duration; {SPAN}",
            id="bare number",
        ),
        pytest.param({"ROTATOR_HTTP__PORT": "many"}, "http.port: ", id="no number"),
        pytest.param({"ROTATOR_TENANTS": "[{"}, "ROTATOR_TENANTS: is not valid JSON", id="broken JSON"),
    ],
)
def test_environment_that_makes_no_sense(bench: Bench, env: Mapping[str, str], complaint: str) -> None:
    """A ROTATOR_ variable that means nothing, or nothing sensible, is refused by its name."""
    bench.begin(Tenant(keysets=(fresh(),)))
    (line,) = refused(bench, bench.check(env))
    assert line.startswith(complaint)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere.pem", "No such file or directory"),
        ("client-secret", "it has no certificate that can be parsed"),
        ("empty", "it has no certificate that can be parsed"),
    ],
)
def test_ca_file_that_is_none(bench: Bench, name: str, reason: str) -> None:
    """A CA file that is missing or holds something else is refused when the program starts, not when it first asks."""
    bench.begin(Tenant(keysets=(fresh(),)))
    (bench.folder / "empty").touch()
    bench.content["ca_file"] = str(bench.folder / name)
    bench.write()
    (line,) = refused(bench, bench.run("--once"))
    assert line.startswith(f"ca_file: {bench.folder / name} cannot be read as a PEM bundle: {reason}")


PROXY_PASSWORD = "Pr0xy-passw0rd-of-nobody"


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ALL_PROXY", f"socks4://user:{PROXY_PASSWORD}@proxy:1080", "the proxy's scheme is not supported"),
        ("HTTPS_PROXY", f"ftp://user:{PROXY_PASSWORD}@proxy", "the proxy's scheme is not supported"),
        ("https_proxy", f"http://user:{PROXY_PASSWORD}@proxy:port", "the proxy's host or port is not valid"),
        ("HTTP_PROXY", f"http://user:{PROXY_PASSWORD}@[::1", "the proxy's host or port is not valid"),
        ("NO_PROXY", "10.0.0.0/33", "10.0.0.0/... is not a network"),
    ],
)
def test_proxy_that_cannot_be_used(bench: Bench, name: str, value: str, complaint: str) -> None:
    """A variable that names a proxy and is wrong is refused by its name, by a check too, and its value is not shown."""
    bench.begin(Tenant(keysets=(fresh(),)))
    for finished in (bench.check({name: value}), bench.run("--once", env={name: value})):
        (line,) = refused(bench, finished)
        assert line.startswith(f"{name}: {complaint}")
        assert PROXY_PASSWORD not in finished.out + finished.err


def test_ssl_cert_file_that_is_none(bench: Bench) -> None:
    """The variable is named that is wrong, and not `ca_file`, which is right."""
    bench.begin(Tenant(keysets=(fresh(),)))
    (line,) = refused(bench, bench.run("--once", env={"SSL_CERT_FILE": "/nowhere.pem"}))
    assert line.startswith("SSL_CERT_FILE: /nowhere.pem cannot be read as a PEM bundle: No such file or directory")


def test_http_port_in_use(bench: Bench) -> None:
    """A daemon whose port is taken says so, and asks nobody anything."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bench.begin(Tenant(keysets=(due(),)), http={"host": "127.0.0.1", "port": port})
        assert [f"http: cannot listen on 127.0.0.1, port {port}: Address already in use"] == refused(bench, bench.run())


# --- what is wrong with one tenant or one keyset


def credential(name: str, value: str) -> Callable[[Bench], None]:
    """Something that changes how the bad tenant proves who it is."""

    def change(bench: Bench) -> None:
        client_id = bench.content["tenants"][0]["credential"]["client_id"]
        where = value.format(folder=bench.folder)
        bench.content["tenants"][0]["credential"] = {"client_id": client_id, name: where}

    return change


def secret(text: str) -> Callable[[Bench], None]:
    """Something that writes a secret file for the bad tenant."""

    def change(bench: Bench) -> None:
        (bench.folder / "other-secret").write_text(text)
        credential("client_secret_file", "{folder}/other-secret")(bench)

    return change


def setting(name: str, value: object) -> Callable[[Bench], None]:
    """Something that changes a member of the bad tenant."""

    def change(bench: Bench) -> None:
        bench.content["tenants"][0][name] = value

    return change


def cloud(**roots: str) -> Callable[[Bench], None]:
    """Something that sends the bad tenant elsewhere."""

    def change(bench: Bench) -> None:
        bench.content["tenants"][0]["cloud"] |= roots

    return change


def fault(what: Kind, where: Operation, **more: object) -> Callable[[Bench], None]:
    """Something that lets the service answer the bad tenant badly."""

    def change(bench: Bench) -> None:
        bench.emulator.inject(Fault(what=what, where=where, tenant="bad.onmicrosoft.com", **more))  # type: ignore[arg-type]

    return change


LIST, TOKEN, DISCOVERY = Operation.LIST_KEYSETS, Operation.TOKEN, Operation.DISCOVERY
LOGIN = "not a documented answer; check `cloud`, and any proxy in between"


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        pytest.param(
            credential("client_secret_file", "{folder}/nowhere"),
            "auth",
            ("cannot read client_secret_file ", "/nowhere: No such file or directory"),
            id="secret file missing",
        ),
        pytest.param(secret("\n"), "auth", ("client_secret_file ", "/other-secret is empty"), id="secret file empty"),
        pytest.param(
            credential("client_secret_env", "NO_SUCH_VARIABLE"),
            "auth",
            ("the environment variable NO_SUCH_VARIABLE (client_secret_env) is not set",),
            id="secret variable missing",
        ),
        pytest.param(
            credential("certificate_file", "{folder}/client-secret"),
            "auth",
            ("certificate_file ", "must hold one private key and its certificate, as PEM"),
            id="certificate file without one",
        ),
        pytest.param(
            credential("federated_token_file", "{folder}/nowhere"),
            "auth",
            ("cannot read federated_token_file ", "/nowhere: No such file or directory"),
            id="federated token file missing",
        ),
        pytest.param(
            secret("kE8Q~another-secret-that-is-wrong.aB3"),
            "auth",
            ("AADSTS7000215", "the client secret is wrong; put the secret's value, not its id"),
            id="wrong secret",
        ),
        pytest.param(
            setting("tenant_id", "nobody.onmicrosoft.com"),
            "auth",
            ("localhost has no tenant nobody.onmicrosoft.com", "check tenant_id and cloud"),
            id="unknown tenant",
        ),
        pytest.param(
            setting("credential", {"client_id": "99999999-0000-4000-8000-000000000000", "client_secret_env": "HOME"}),
            "auth",
            ("AADSTS700016", "the app is not registered in this tenant; check client_id and tenant_id"),
            id="unknown app",
        ),
        pytest.param(
            cloud(graph="https://graph.example"), "auth", ("AADSTS500011", "check cloud"), id="Graph of another cloud"
        ),
        pytest.param(
            fault(Kind.HTML, LIST, status=200), "unreadable", ("not JSON", "text/html"), id="HTML instead of JSON"
        ),
        pytest.param(
            fault(Kind.HTML, DISCOVERY, status=200), "unreadable", ("localhost", LOGIN), id="HTML for discovery"
        ),
        pytest.param(fault(Kind.HTML, TOKEN, status=200), "unreadable", ("localhost", LOGIN), id="HTML for a token"),
        pytest.param(fault(Kind.CUT_JSON, LIST), "unreadable", ("not JSON",), id="JSON that is cut off"),
        pytest.param(fault(Kind.EMPTY, LIST), "unreadable", ("not JSON",), id="nothing instead of JSON"),
        pytest.param(fault(Kind.LIST, LIST), "unreadable", ("not a JSON object",), id="a list instead of an object"),
        pytest.param(
            fault(Kind.MISSING_MEMBER, LIST, member="value"),
            "unreadable",
            ("no list of objects in `value`",),
            id="no value",
        ),
        pytest.param(fault(Kind.REDIRECT, LIST), "unreadable", ("302", "a redirect is not followed"), id="redirect"),
        pytest.param(
            fault(Kind.FOREIGN_NEXT_LINK, LIST),
            "unreadable",
            ("another host", "(@odata.nextLink)"),
            id="pages elsewhere",
        ),
        pytest.param(
            fault(Kind.STATUS, LIST, status=401),
            "auth",
            ("Graph answered 401", "check tenant_id, cloud and the app registration"),
            id="token refused",
        ),
    ],
)
def test_tenant_that_cannot_be_looked_at(
    bench: Bench, spoil: Callable[[Bench], None], kind: str, words: tuple[str, ...]
) -> None:
    """Its keysets fail with one line that says what, where and what to do; the next tenant gets its keys."""
    bench.begin(
        Tenant(name="bad", keysets=(due("B2C_1A_One"), due("B2C_1A_Two"))),
        Tenant(name="good", keysets=(due("B2C_1A_Three"),)),
    )
    spoil(bench)
    bench.write()
    run = bench.run(*NAMES)
    assert (run.code, [row["outcome"] for row in run.rows]) == (1, ["failed", "failed", "rotated"])
    messages = {row["error"]["message"] for row in run.rows[:2]}
    assert {kind} == {row["error"]["kind"] for row in run.rows[:2]}
    (message,) = messages
    assert all(word in message for word in words), message
    assert len(message.splitlines()) == 1
    assert [message, message] == [line["message"] for line in run.events("keyset.failed")]
    assert [seen.tenant for seen in bench.asked(Operation.GENERATE_KEY)] == ["good.onmicrosoft.com"]


def test_tenant_without_consent(bench: Bench) -> None:
    """An app that was granted no permission is reported which one is missing; the next tenant gets its keys."""
    bench.begin(
        Tenant(name="bad", keysets=(due("B2C_1A_One"),), roles=()),
        Tenant(name="good", keysets=(due("B2C_1A_Three"),)),
    )
    run = bench.run(*NAMES)
    assert (run.code, [row["outcome"] for row in run.rows]) == (1, ["failed", "rotated"])
    advice = "no permission; grant the app the application permission TrustFrameworkKeySet.Read.All, with admin consent"
    assert run.rows[0]["error"]["message"] == (
        f"Graph answered 403 Authorization_RequestDenied to list_keysets: {advice}"
    )


def test_hosts_that_cannot_be_reached(bench: Bench) -> None:
    """A login host or a Graph that nobody answers for, or that is not trusted, costs its own tenant alone."""
    bench.begin(
        Tenant(name="login", keysets=(due("B2C_1A_One"),)),
        Tenant(name="graph", keysets=(due("B2C_1A_One"),)),
        Tenant(name="stranger", keysets=(due("B2C_1A_One"),)),
        Tenant(name="good", keysets=(due("B2C_1A_One"),)),
        log={"level": "debug"},
    )
    login, graph, strange, _ = bench.content["tenants"]
    login["cloud"]["login"] = "https://localhost:1"
    graph["cloud"]["graph"] = f"https://[::1]:{bench.emulator.port}"  # which listens on 127.0.0.1 alone
    with Emulator(Seed()) as stranger:
        strange["cloud"] = {"graph": stranger.url, "login": stranger.url}
        bench.write()
        run = bench.run(*NAMES)
        assert not stranger.requests, "it was talked to without being trusted"
    assert (run.code, [row["outcome"] for row in run.rows]) == (1, ["failed", "failed", "failed", "rotated"])
    errors = [row["error"] for row in run.rows[:3]]
    assert [error["kind"] for error in errors] == ["network"] * 3
    for error, words in zip(
        errors,
        (
            ("cannot reach localhost: ", "; check name, network and proxy"),
            ("cannot reach ::1: ", "; check name, network and proxy"),
            (
                "the certificate of localhost is not trusted ",
                "; if that host is yours, check whether ca_file has the CA of that host",
            ),
        ),
        strict=True,
    ):
        assert all(word in error["message"] for word in words), error["message"]
    tries = [sum(line["tenant"] == name for line in run.events("request.finished")) for name in ("login", "stranger")]
    assert (errors[2]["code"], tries) == ("CERTIFICATE_VERIFY_FAILED", [4, 1]), "it would be no other the next time"
    assert {"good.onmicrosoft.com"} == {seen.tenant for seen in bench.asked(LIST)}


def test_keyset_that_is_not_there(bench: Bench) -> None:
    """A keyset that the list does not have fails by its name, and the others are rotated."""
    bench.begin(Tenant(keysets=(due("B2C_1A_One"), Keyset(id="B2C_1A_Gone", is_there=False), due("B2C_1A_Two"))))
    run = bench.run(*NAMES)
    assert (run.code, [row["outcome"] for row in run.rows]) == (1, ["rotated", "failed", "rotated"])
    error = run.rows[1]["error"]
    assert (
        error["kind"],
        error["message"],
    ) == ("not_found", "the tenant has no keyset B2C_1A_Gone; check its id, tenant_id and cloud")


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param(Switches(missing_keyset_status=400, missing_keyset_code="AADB2C90073"), id="400 with AADB2C90073"),
        pytest.param(Switches(missing_keyset_status=404, missing_keyset_code="ResourceNotFound"), id="404"),
    ],
)
def test_keyset_that_is_deleted_between_the_looks(bench: Bench, switches: Switches) -> None:
    """A keyset that is gone at the second look is not found, with whichever status the service says so."""
    emulator = bench.begin(Tenant(keysets=(due("B2C_1A_Gone"), due("B2C_1A_Two")), switches=switches), settle="1s")
    running = bench.start(*NAMES)
    running.log("sweep.settling")
    emulator.tenants[0].delete("B2C_1A_Gone")
    run = running.wait()
    assert (run.code, [row["outcome"] for row in run.rows]) == (1, ["failed", "rotated"])
    error = run.rows[0]["error"]
    assert ("not_found", switches.missing_keyset_status, switches.missing_keyset_code) == (
        error["kind"],
        error["status"],
        error["code"],
    )
    assert "there is no such keyset in this tenant; check its id, tenant_id and cloud" in error["message"]


@pytest.mark.parametrize(
    ("what", "where"),
    [(Kind.TRUNCATED, LIST), (Kind.RESET, LIST), (Kind.CLOSE, LIST), (Kind.TRUNCATED, TOKEN), (Kind.RESET, DISCOVERY)],
)
def test_connection_that_breaks_once(bench: Bench, what: Kind, where: Operation) -> None:
    """A read that breaks off is made again, and costs nothing but a moment."""
    emulator = bench.begin(Tenant(keysets=(due(),)))
    emulator.inject(Fault(what=what, where=where, times=1))
    run = bench.run("--dry-run", "--output", "json")
    assert (run.code, run.row["outcome"], len(bench.asked(where))) == (0, "planned", 2)


def test_key_that_makes_no_sense(bench: Bench) -> None:
    """A keyset with an invalid date fails with the path to the date, and the others are looked at."""
    emulator = bench.begin(Tenant(name="bad", keysets=(fresh(),)), Tenant(name="good", keysets=(due(),)))
    emulator.inject(
        Fault(what=Kind.FORGED_MEMBER, where=LIST, tenant="bad.onmicrosoft.com", member="exp", value=10**18)
    )
    run = bench.run(*NAMES)
    assert (run.code, [row["outcome"] for row in run.rows]) == (1, ["failed", "rotated"])
    error = run.rows[0]["error"]
    assert error["kind"] == "unreadable"
    assert error["message"].startswith("keyset B2C_1A_Fresh: keys[0].exp is not a NumericDate")
