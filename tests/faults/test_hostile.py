"""
Hostile input: whatever a service sends, it costs no more than its own keyset or tenant.

Each case is a tenant with two keysets that are due, a victim and a bystander. A pass, a
dry run, a status and a daemon of the real program visit them all at once, with every
kind of output; then each test looks at its part. Whatever the case: no crash, no line
that is broken or without end, no request to a foreign host, and bounded memory.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from core import builders
from end_to_end.harness import DAY, LIFE, Bench, Finished, Keyset, Tenant, key
from faults.rawserver import raw_server
from faults.rig import Daemon, Process, configure, lines_of, listening, once, play_once, rows_of, wait_for_all

from rotator.core.rotation import decide
from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.seed import KeySeed
from rotator.emulator.model.switches import Status, Switches

VICTIM, BYSTANDER = "B2C_1A_Victim", "B2C_1A_Bystander"
LIST, GET, GENERATE = Operation.LIST_KEYSETS, Operation.GET_KEYSET, Operation.GENERATE_KEY
MEBIBYTE = 1 << 20
TIMEOUT = 10  # seconds for a request; enough for every answer without a fault, however busy the machine is
MINUTE = timedelta(minutes=1)
PORT = "65432"
"""Stands for the port of a listener that rotator must not use."""

ROTATED = ("rotated", "renewal_due")
UNREADABLE = ("failed", "unreadable")
NETWORK = ("failed", "network")
FORBIDDEN = ("failed", "forbidden")
THROTTLED = ("failed", "throttled")
NO_BUG = ("failed", "")
"""A failure of whatever kind, but not a bug."""

DUE = key(age=80, kid="due")
SUCCESSOR = (DUE.nbf or 0) + 90 * DAY
NASTY = "\x1b[31m\x1b]0;x\x07red\x1b[0m\r\nkeyset.rotated\u2028\u202e\x00\x7f\x9b\ud800"
"""Control characters that would change a terminal, and invalid text."""


COMMANDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]")
"""Characters that a terminal obeys, or that are none."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    What a service sends, and what comes of its two keysets then.

    keys: those of the victim, as they are
    raw:  the bytes with which a request for keysets is answered, in place of faults
    """

    name: str
    victim: tuple[str, str] = UNREADABLE
    bystander: tuple[str, str] = ROTATED
    faults: tuple[Fault, ...] = ()
    keys: tuple[KeySeed, ...] = (DUE,)
    raw: Iterable[bytes] | None = None
    status: Status = Status.ENABLED

    def __str__(self) -> str:
        return self.name


def shown(seed: KeySeed, **forged: Any) -> dict[str, Any]:
    """A key as the service shows it, with forged members."""
    honest = {
        "kid": seed.kid,
        "kty": seed.kty,
        "use": seed.use,
        "nbf": seed.nbf,
        "exp": seed.exp,
        "status": seed.status,
    }
    return {**honest, **forged}


def tenant_wide(name: str, *faults: Fault, comes_to: tuple[str, str] = UNREADABLE) -> Case:
    """What strikes a tenant before its keysets can be distinguished: both fail."""
    return Case(name=name, victim=comes_to, bystander=comes_to, faults=faults)


def listed(name: str, forged: Mapping[str, Any], comes_to: tuple[str, str] = UNREADABLE) -> Case:
    """A list in which the victim is forged."""
    value = [{"id": VICTIM, "keys": [shown(DUE)], **forged}, {"id": BYSTANDER, "keys": [shown(DUE)]}]
    body = json.dumps({"value": value})
    return Case(name=name, victim=comes_to, faults=(Fault(what=Kind.BODY, where=LIST, body=body),))


def dated(name: str, *, value: object) -> Iterator[Case]:
    """Lists in which a date of the victim is forged, one for each date."""
    for member in ("nbf", "exp"):
        yield listed(f"{member} is {name}", {"keys": [shown(DUE, **{member: value})]})


def answered(name: str, where: Operation, body: str, status: int = 200, comes_to: tuple[str, str] = NO_BUG) -> Case:
    """A body that strikes a whole tenant."""
    return tenant_wide(name, Fault(what=Kind.BODY, where=where, body=body, status=status), comes_to=comes_to)


def linked(name: str, link: object) -> Case:
    """A list that goes on somewhere."""
    body = json.dumps({"value": [], "@odata.nextLink": link})
    return answered(name, LIST, body, comes_to=UNREADABLE)


def token(name: str, **members: Any) -> Case:
    """A value that is not a valid token."""
    honest = {"token_type": "Bearer", "expires_in": 3599, "access_token": "opaque"}
    return answered(f"token: {name}", Operation.TOKEN, json.dumps({**honest, **members}))


def discovered(name: str, token_endpoint: object) -> Case:
    """A value that is not a valid token endpoint."""
    found = {
        "token_endpoint": token_endpoint,
        "authorization_endpoint": "https://localhost/x",
        "issuer": "https://localhost",
    }
    return answered(f"discovery: {name}", Operation.DISCOVERY, json.dumps(found))


def raw(name: str, *chunks: bytes, forever: bytes = b"", comes_to: tuple[str, str] = NO_BUG) -> Case:
    """An answer to every request for keysets, byte by byte; the last bytes again and again."""
    return replace(tenant_wide(f"raw: {name}", comes_to=comes_to), raw=Endless(chunks, forever))


@dataclass(frozen=True)
class Endless:
    """Chunks, and then one again and again; can be sent as often as wanted."""

    chunks: tuple[bytes, ...]
    forever: bytes

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.forever:
            yield from repeat(self.forever)


def refusal(status: int, *headers: bytes) -> bytes:
    """An answer with an empty object and some headers."""
    return b"\r\n".join((b"HTTP/1.1 %d No" % status, *headers, b"Content-Length: 2", b"", b"{}"))


PAST = tuple(
    KeySeed(nbf=(DUE.nbf or 0) - n * 60 - 100 * DAY, exp=(DUE.nbf or 0) - n * 60 - DAY, kid=f"past-{n}")
    for n in range(10_000)
)
HEAVY = Tenant(name="heavy", keysets=(Keyset(id=VICTIM, keys=(DUE,)),))
FUTURE = tuple(
    KeySeed(nbf=SUCCESSOR + n * 60, exp=SUCCESSOR + n * 60 + 95 * DAY, kid=f"future-{n}") for n in range(2_000)
)

CASES = (
    tenant_wide("100 MB", Fault(what=Kind.HUGE, where=LIST)),
    tenant_wide("gzip bomb of 1 GB", Fault(what=Kind.GZIP_BOMB, where=LIST, size=1024 * MEBIBYTE)),
    tenant_wide("drips", Fault(what=Kind.DRIP, where=LIST, interval=0.02), comes_to=("failed", "timeout")),
    tenant_wide("redirect abroad", Fault(what=Kind.REDIRECT, where=LIST, url=f"https://127.0.0.1:{PORT}/")),
    tenant_wide(
        "permanent redirect abroad", Fault(what=Kind.REDIRECT, where=LIST, status=308, url=f"http://127.0.0.1:{PORT}/")
    ),
    tenant_wide(
        "token redirected abroad",
        Fault(what=Kind.REDIRECT, where=Operation.TOKEN, status=307, url=f"https://127.0.0.1:{PORT}/"),
    ),
    tenant_wide("next link loops", Fault(what=Kind.NEXT_LINK_LOOP, where=LIST)),
    tenant_wide("next link is http", Fault(what=Kind.INSECURE_NEXT_LINK, where=LIST)),
    linked("next link abroad", f"https://127.0.0.1:{PORT}/beta/trustFramework/keySets"),
    linked("next link abroad, http", f"http://127.0.0.1:{PORT}/beta/trustFramework/keySets"),
    linked("next link abroad, without a scheme", f"//127.0.0.1:{PORT}/beta/trustFramework/keySets"),
    linked("next link abroad, in disguise", f"https://localhost:443@127.0.0.1:{PORT}/beta/trustFramework/keySets"),
    replace(
        linked("next link abroad, backslashes", f"https:\\\\127.0.0.1:{PORT}\\beta"), victim=NO_BUG, bystander=NO_BUG
    ),
    linked("next link is a file", "file:///etc/passwd"),
    linked("next link has no port", "https://localhost:port/"),
    linked("next link is a number", 5),
    linked("next link is nasty", NASTY),
    answered("deep nesting", LIST, "[" * 200_000, comes_to=UNREADABLE),
    answered("deep nesting of objects", LIST, '{"value":' * 100_000, comes_to=UNREADABLE),
    answered("a number without end", LIST, '{"value":[{"id":1%s}]}' % ("0" * 5_000), comes_to=UNREADABLE),
    answered("NaN", LIST, '{"value": NaN}', comes_to=UNREADABLE),
    answered("ids are numbers", LIST, '{"value":[{"id":5}]}', comes_to=UNREADABLE),
    answered("entries are texts", LIST, '{"value":["B2C_1A_Victim"]}', comes_to=UNREADABLE),
    answered("null", LIST, "null", comes_to=UNREADABLE),
    answered(
        "an error that is nasty",
        LIST,
        json.dumps({"error": {"code": NASTY, "message": NASTY}}),
        403,
        (FORBIDDEN),
    ),
    answered("an error without end", LIST, json.dumps({"error": {"code": "x" * 1_000_000}}), 403, (FORBIDDEN)),
    answered("an error that is a list", LIST, '{"error": ["x"]}', 403, FORBIDDEN),
    *dated("10^18", value=10**18),
    *dated("10^400", value=10**400),
    *dated("negative", value=-1),
    *dated("a float", value=1.5),
    *dated("a huge float", value=1e300),
    *dated("a text", value="soon"),
    *dated("milliseconds in a text", value="1795493813638"),
    *dated("a text of other digits", value="\u0661\u0662"),
    *dated("true", value=True),
    *dated("a list", value=[1]),
    listed("nbf is null", {"keys": [shown(DUE, nbf=None)]}, ROTATED),
    listed("exp is null", {"keys": [shown(DUE, exp=None)]}, ROTATED),
    listed("kid is a number", {"keys": [shown(DUE, kid=5)]}),
    listed("kid of 10 kB", {"keys": [shown(DUE, kid="k" * 10_000)]}),
    listed("kid is no valid text", {"keys": [shown(DUE, kid=NASTY)]}),
    listed("status is a number", {"keys": [shown(DUE, status=5)]}),
    listed("use is an object", {"keys": [shown(DUE, use={})]}),
    listed("keys is an object", {"keys": {}}),
    listed("keys is a text", {"keys": "none"}),
    listed("keys are null", {"keys": [None]}),
    Case(
        name="kids are nasty",
        victim=ROTATED,
        keys=(
            key(age=80, kid=NASTY.replace("\ud800", "")),
            KeySeed(nbf=SUCCESSOR + DAY, exp=SUCCESSOR + 9 * DAY, status=Status.DISABLED, kid=f"2{NASTY}"[:-1]),
        ),
    ),
    Case(
        name="a generated kid is nasty",
        victim=NO_BUG,
        status=Status.DISABLED,
        faults=(
            Fault(what=Kind.BODY, where=GENERATE, keyset=VICTIM, body=json.dumps({"kid": NASTY})),
            Fault(
                what=Kind.BODY,
                where=GET,
                keyset=VICTIM,
                skip=1,
                body=json.dumps(
                    {
                        "keys": [
                            shown(
                                DUE,
                                kid=NASTY,
                                nbf=SUCCESSOR,
                                exp=SUCCESSOR + int(LIFE.total_seconds()),
                                status="disabled",
                            )
                        ]
                    }
                ),
            ),
        ),
    ),
    Case(
        name="other ids are nasty",
        victim=ROTATED,
        faults=(
            Fault(
                what=Kind.BODY,
                where=LIST,
                body=json.dumps(
                    {
                        "value": [
                            *(
                                {"id": each, "keys": [{"nbf": "x"}]}
                                for each in (NASTY, "", "../../x", "B2C_1A_" + "x" * 100_000, "%2e%2e")
                            ),
                            *({"id": each, "keys": [shown(DUE)]} for each in (VICTIM, BYSTANDER)),
                        ]
                    }
                ),
            ),
        ),
    ),
    Case(name="10,000 keys of the past", bystander=UNREADABLE, keys=(*PAST, DUE)),
    Case(name="2,000 keys to come", keys=(DUE, *FUTURE)),
    Case(name="the second look: 100 MB", faults=(Fault(what=Kind.HUGE, where=GET, keyset=VICTIM),)),
    Case(name="the second look: gzip bomb", faults=(Fault(what=Kind.GZIP_BOMB, where=GET, keyset=VICTIM),)),
    Case(
        name="the second look: deep nesting",
        faults=(Fault(what=Kind.BODY, where=GET, keyset=VICTIM, body="[" * 200_000),),
    ),
    Case(
        name="the second look: nbf is 10^18",
        faults=(Fault(what=Kind.FORGED_MEMBER, where=GET, keyset=VICTIM, member="nbf", value=10**18),),
    ),
    Case(
        name="the second look: redirect",
        faults=(Fault(what=Kind.REDIRECT, where=GET, keyset=VICTIM, url=f"https://127.0.0.1:{PORT}/"),),
    ),
    token("is a number", access_token=5),
    token("is null", access_token=None),
    token("is empty", access_token=""),
    token("has lines", access_token="two\r\nX-Evil: lines"),
    token("is no ASCII", access_token="t\u00f6k\u20acn\ud800"),
    token("of 100 kB", access_token="x" * 100_000),
    token("expires soon", expires_in="soon"),
    token("expires never", expires_in=None),
    token("expires at infinity", expires_in=float("inf")),
    token("expires in a list", expires_in=[]),
    token("expired", expires_in=-1),
    token("refreshes soon", refresh_in="soon"),
    answered(
        "token: refused nastily",
        Operation.TOKEN,
        json.dumps({"error": NASTY, "error_codes": [NASTY]}),
        400,
        ("failed", "auth"),
    ),
    answered("token: refused with a list", Operation.TOKEN, json.dumps({"error": ["x"], "error_codes": {}}), 401),
    tenant_wide("discovery: 100 MB", Fault(what=Kind.HUGE, where=Operation.DISCOVERY)),
    discovered("http", f"http://127.0.0.1:{PORT}/token"),
    discovered("a number", 5),
    discovered("nasty", NASTY),
    raw("no HTTP", b"\x00\x01SSH-2.0-OpenSSH_9.9\r\n", comes_to=NETWORK),
    raw(
        "headers without end",
        b"HTTP/1.1 200 OK\r\n",
        forever=b"X-More: " + b"x" * 4_000 + b"\r\n",
        comes_to=NETWORK,
    ),
    raw(
        "an answer without end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        forever=b"10000\r\n" + b" " * 65_536 + b"\r\n",
        comes_to=UNREADABLE,
    ),
    raw("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", comes_to=NETWORK),
    raw("status 999", refusal(999)),
    raw("an id of the request that is nasty", refusal(403, b"request-id: \x1b[31mred\x07\x9b")),
    raw("an id of the request of 50 kB", refusal(403, b"request-id: " + b"x" * 50_000)),
    raw("a Date that is none", refusal(403, b"Date: yesterday"), comes_to=FORBIDDEN),
    raw(
        "a Date out of all bounds", refusal(403, b"Date: Mon, 01 Jan %s 00:00:00 GMT" % (b"9" * 20)), comes_to=FORBIDDEN
    ),
    raw("a zone out of all bounds", refusal(403, b"Date: Mon, 01 Jan 2026 00:00:00 +" + b"9" * 20), comes_to=FORBIDDEN),
    raw("a Date of year 1", refusal(403, b"Date: Mon, 01 Jan 0001 00:00:00 GMT"), comes_to=FORBIDDEN),
    raw(
        "Retry-After out of all bounds",
        refusal(429, b"Date: Mon, 01 Jan 2026 00:00:00 GMT", b"Retry-After: Mon, 01 Jan %s 00:00:00 GMT" % (b"9" * 20)),
        comes_to=THROTTLED,
    ),
    raw("Retry-After that is negative", refusal(429, b"Retry-After: -5"), comes_to=THROTTLED),
)
DENSE = '{"value":[' + "[]," * (5 * MEBIBYTE) + "[]]}"
"""Almost as long as an answer may be, and as much as it can be once it is read."""
NAMES = {case: f"case{number}" for number, case in enumerate(CASES)}


@dataclass(frozen=True, kw_only=True)
class Played:
    """
    What came of it.

    rows, failures: of the pass, by tenant
    visits:         how often somebody came to the listener
    peak, dense:    the most memory that the daemon ever had, and one with the densest answer, in MiB
    """

    once: Finished
    rows: Mapping[str, list[dict[str, Any]]]
    failures: Mapping[str, list[dict[str, Any]]]
    plan: Finished
    status: Finished
    daemon: Finished
    pages: Mapping[str, str]
    peak: float
    dense: float
    visits: int


def play(folder: Path) -> Played:
    """Run all tenants."""
    raws = {NAMES[case]: case.raw for case in CASES if case.raw is not None}
    with ExitStack() as stack:
        listener = stack.enter_context(listening())
        server = stack.enter_context(raw_server(raws))
        bench = stack.enter_context(Bench(folder))
        tenants = [tenant_of(case) for case in CASES]
        emulator = bench.begin(*tenants, HEAVY)
        emulator.inject(Fault(what=Kind.BODY, where=LIST, tenant=HEAVY.domain, body=DENSE))
        stack.callback(emulator.journal.clear)  # a link may lead to whatever place on the same host
        for case in CASES:
            for fault in case.faults:
                emulator.inject(aimed(fault, case, str(listener.port)))
        authorities = folder / "authorities.pem"
        authorities.write_text(emulator.ca_file.read_text() + server.ca_pem)
        for each in bench.content["tenants"]:
            if each["name"] in raws:
                each["cloud"] = {"graph": server.url, "login": server.url}
        shared = {"ca_file": str(authorities), "request_timeout": f"{TIMEOUT}s"}
        told = configure(bench, "told", tenants, log={"level": "debug", "format": "json"}, **shared)
        console = configure(bench, "console", tenants, log={"level": "debug", "format": "console"}, **shared)
        few = configure(bench, "few", tenants, dry_run=True, concurrency=8, log={"format": "json"}, **shared)
        alone = configure(bench, "alone", [HEAVY], dry_run=True, **shared)
        daemon, dense = (stack.enter_context(closing(Daemon(bench, path))) for path in (few, alone))
        passes = [
            once(bench, told),
            Process(bench, "-m", "rotator", "--dry-run", "--config", str(console)),
            Process(bench, "-m", "rotator", "status", "--config", str(console)),
        ]
        first, plan, status = wait_for_all(passes)
        daemon.ready()
        dense.ready()
        return Played(
            once=first,
            rows=rows_of(first),
            failures=lines_of(first, "keyset.failed"),
            plan=plan,
            status=status,
            pages={path: daemon.get(path)[1] for path in ("/", "/metrics", "/status.json")},
            peak=daemon.peak,
            dense=dense.peak,
            daemon=daemon.stop(),
            visits=listener.visits,
        )


def tenant_of(case: Case) -> Tenant:
    """The tenant in which a case happens."""
    keysets = (Keyset(id=VICTIM, keys=case.keys), Keyset(id=BYSTANDER, keys=(DUE,)))
    return Tenant(name=NAMES[case], keysets=keysets, switches=Switches(generated_status=case.status))


def aimed(fault: Fault, case: Case, port: str) -> Fault:
    """A fault in the tenant of its case; what leads abroad leads to the listener."""
    url, body = fault.url.replace(PORT, port), fault.body.replace(PORT, port)
    return replace(fault, url=url, body=body, tenant=tenant_of(case).domain)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The result."""
    return play_once(tmp_path_factory, "hostile", play)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_hostile(played: Played, case: Case) -> None:
    """A hostile answer is a failure of its keyset or tenant, or has no effect; it never causes a crash."""
    name = NAMES[case]
    rows = {row["keyset"]: row for row in played.rows[name]}
    failures = played.failures.get(name, [])
    assert not any("exception" in line for line in failures), failures
    assert [keyset for keyset, row in rows.items() if row["outcome"] == "failed"] == [
        line["keyset"] for line in failures
    ]
    for keyset, (outcome, reason) in ((VICTIM, case.victim), (BYSTANDER, case.bystander)):
        row = rows[keyset]
        assert (row["outcome"], row["reason"]) == (outcome, reason or row["reason"]), row["error"]
        assert row["reason"] != "internal"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("run", ["once", "plan", "status", "daemon"])
@pytest.mark.parametrize("stream", ["out", "err"])
def test_lines_stay_lines(played: Played, run: str, stream: str) -> None:
    """No text of a service begins or ends a line, moves a cursor, or goes on without end."""
    text: str = getattr(getattr(played, run), stream)
    lines = text.split("\n")
    assert [line[:200] for line in lines if COMMANDS.search(line)] == []
    assert [line[:200] for line in lines if len(line) > 4_000 or "Traceback" in line] == []
    if stream == "err":
        begins = r"\{" if run in ("once", "daemon") else r"\d{4}-\d\d-\d\dT"
        assert [line[:200] for line in lines if line and not re.match(begins, line)] == []


@pytest.mark.timeout(400)
def test_one_line_in_the_table(played: Played) -> None:
    """A keyset that fails has its row in the table and one line that says why, which its tenant's keysets may share."""
    failed = [(line["tenant"], line["keyset"]) for line in played.once.events("keyset.failed")]
    lines = played.plan.out.splitlines()
    assert len(CASES) == sum(line.startswith(f"  {VICTIM}") for line in lines)
    early = [each for each in failed if not told_later(each[0])]
    subjects = [
        re.compile(rf"{re.escape(tenant)}(/{re.escape(keyset)}|, all \d+ keysets): ") for tenant, keyset in early
    ]
    assert [1] * len(early) == [sum(bool(subject.match(line)) for line in lines) for subject in subjects]


def told_later(name: str) -> bool:
    """Whether the case of a tenant only strikes at the second look, which a dry run does not take."""
    (case,) = (case for case in CASES if NAMES[case] == name)
    return case.faults != () and case.faults[0].where in (GET, GENERATE)


@pytest.mark.timeout(400)
def test_nobody_abroad_is_asked(played: Played) -> None:
    """No link, redirect or endpoint makes anybody speak to a foreign host, or without TLS."""
    assert played.visits == 0


@pytest.mark.timeout(400)
def test_memory_is_bounded(played: Played) -> None:
    """A daemon with eight tenants side by side that send whatever they like stays below 400 MiB."""
    assert played.peak < 400


@pytest.mark.timeout(400)
def test_memory_is_bounded_where_an_answer_is_dense(played: Played) -> None:
    """The most that one answer can become once it is read stays below 640 MiB."""
    assert played.dense < 640


@pytest.mark.timeout(400)
def test_time_is_bounded(played: Played) -> None:
    """No request takes much longer than its timeout, however slowly the answer drips."""
    assert max(line["seconds"] for line in played.once.events("request.finished")) < 3 * TIMEOUT


@pytest.mark.timeout(400)
def test_pages_are_served(played: Played) -> None:
    """The pages show every keyset, and no text of a service as it is."""
    assert len(CASES) * 2 == len(json.loads(played.pages["/status.json"])["keysets"])
    for text in played.pages.values():
        assert "case0" in text
        assert not COMMANDS.search(text.replace("\n", ""))


def test_many_keys_are_decided_on_quickly() -> None:
    """Ten thousand keys to come are no more than a moment's work."""
    keys = [
        builders.key(f"k{n}", builders.T0 + n * MINUTE, builders.T0 + n * MINUTE + 95 * builders.DAY)
        for n in range(10_000)
    ]
    began = time.process_time()
    decide(builders.POLICY, builders.keyset(*keys), builders.T0)
    assert time.process_time() - began < 3
