"""Log lines: one event a line, in a fixed order, and never with a secret, also from other libraries."""

import hashlib
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import quote, urlencode

import pytest
from core.builders import tenant_id
from structlog.typing import FilteringBoundLogger

from rotator.core.drift import Change, ChangeKind
from rotator.core.errors import Failure, FailureKind
from rotator.core.events import KeysetChanged, Looked, RequestFinished
from rotator.core.exchange import Exchange
from rotator.core.keyset import Key, Keyset
from rotator.core.outcome import Failed, Observation, Outcome, Planned
from rotator.core.policy import Mode, RotationPolicy
from rotator.core.rotation import Rotate, decide
from rotator.core.text import printable
from rotator.edges.log_events import EventLog
from rotator.edges.logs import logger
from rotator.edges.redactor import CHUNK, REDACTED, Redactor
from rotator.edges.tenant_settings import PolicySettings
from rotator.views.page import environment

SECRET = "kE8Q~not-a-real-secret-of-anybody.aB3"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """What the program does to logging ends with the test."""
    root = logging.getLogger()
    names = ("rotator", "httpx", "httpcore", "apscheduler", "msal", "urllib3")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, each in levels.items():
        logging.getLogger(name).setLevel(each)


@pytest.fixture
def stream() -> io.StringIO:
    """Where the lines go."""
    return io.StringIO()


@pytest.fixture
def redactor() -> Redactor:
    """What must not be printed."""
    redactor = Redactor()
    redactor.register(SECRET, permanent=True)
    return redactor


@pytest.fixture
def log(stream: io.StringIO, redactor: Redactor) -> FilteringBoundLogger:
    """The program's logger, with JSON."""
    return logger("info", "json", redactor, stream)


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """The error as it is once it was raised, out of a *cause* if there is one, past a variable with something in it."""
    local = 10**20
    try:
        raise error from cause
    except type(error) as caught:
        assert local
        return caught


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """Everything that was logged."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_is_one_object_a_line(log: FilteringBoundLogger, stream: io.StringIO) -> None:
    """Each line is one object, whatever is in it, with timestamp, level and event first."""
    log.info("something.happened", b="two\nlines", a=[1, {"c": "\x1b[2J"}])
    log.warning("something.else")
    first, second = lines(stream)
    assert list(first) == ["timestamp", "level", "event", "b", "a"]
    assert (
        first["level"],
        first["event"],
        first["b"],
        first["a"],
    ) == ("info", "something.happened", "two\nlines", [1, {"c": "\x1b[2J"}])
    assert str(first["timestamp"]).endswith("Z")
    assert (second["level"], second["event"]) == ("warning", "something.else")


def test_json_of_what_others_log(log: FilteringBoundLogger, stream: io.StringIO) -> None:
    """A library's record has the same form, from warning on."""
    del log
    other = logging.getLogger("some.library")
    other.info("not worth a line")
    other.warning("took %d seconds", 7)
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event"]
    assert (line["level"], line["event"]) == ("warning", "took 7 seconds")


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_level_from_which_on(stream: io.StringIO, redactor: Redactor, level: str) -> None:
    """What is below the level is not written, and what libraries chatter is not at any."""
    log = logger(level, "json", redactor, stream)
    ranks = ["debug", "info", "warning", "error"]
    for each in ranks:
        getattr(log, each)("something.happened")
    for name in ("httpx", "httpcore.connection", "apscheduler.scheduler", "urllib3"):
        logging.getLogger(name).info("chatter")
    logging.getLogger("msal").error("a body that could not be read")
    assert ranks[ranks.index(level) :] == [line["level"] for line in lines(stream)]


@pytest.mark.parametrize(
    ("style", "terminal", "is_json"),
    [
        ("json", True, True),
        ("json", False, True),
        ("console", True, False),
        ("console", False, False),
        ("auto", True, False),
        ("auto", False, True),
    ],
)
def test_style_by_stream(redactor: Redactor, style: str, *, terminal: bool, is_json: bool) -> None:
    """`auto` is readable lines on a terminal and JSON elsewhere; the others are what they say."""
    stream = Terminal() if terminal else io.StringIO()
    logger("info", style, redactor, stream).info("something.happened", name="value")
    text = stream.getvalue()
    assert is_json == text.startswith("{")
    assert ("\x1b[" in text) == (terminal and not is_json), "colours on a terminal alone"


def test_style_without_colour(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is heeded on a terminal."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    logger("info", "auto", redactor, stream).info("something.happened")
    assert "\x1b" not in stream.getvalue()


def test_console_is_one_line(stream: io.StringIO, redactor: Redactor) -> None:
    """A value with line ends or control characters stays on its line, and steers no terminal."""
    log = logger("info", "console", redactor, stream)
    log.warning("something.happened", message="two\r\nlines\x1b[2J\x07", deep=["a\nb"], kid="\u202egnp\u2028x")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert [char for char in "\r\x1b\x07\u202e\u2028" if char in text] == []
    assert "something.happened" in text


def test_console_of_what_others_log(stream: io.StringIO, redactor: Redactor) -> None:
    """A library's record stays on its line as well."""
    logger("info", "console", redactor, stream)
    logging.getLogger("some.library").warning("two\nlines\x1b[2J")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("hidden", [SECRET, JWT, PEM, JWT.rpartition(".")[0] + "."])
def test_secret_is_struck_out_wherever_it_is(stream: io.StringIO, redactor: Redactor, style: str, hidden: str) -> None:
    """In the event, in values however deep, in a library's record and its arguments, in exceptions and their causes."""
    log = logger("debug", style, redactor, stream)
    event = f"event with {hidden}"
    log.info(event, value=hidden, deep=[{"a": (hidden, {"b": hidden})}], other=ValueError(hidden))
    error = raised(RuntimeError(f"because of {hidden}"), raised(ValueError(hidden)))
    log.error("job.raised", exc_info=error)
    other = logging.getLogger("some.library")
    other.error("record with %s", hidden)
    other.error("it raised", exc_info=error)
    text = stream.getvalue()
    assert hidden not in text
    assert "MIIEow" not in text
    assert text.count(REDACTED) >= 10
    assert "RuntimeError" in text
    assert "because of" in text


def test_secret_as_the_name_of_a_value(stream: io.StringIO, redactor: Redactor) -> None:
    """A secret that is the name of something is struck out as well."""
    log = logger("info", "json", redactor, stream)
    log.info("something.happened", deep={SECRET: 1})
    assert SECRET not in stream.getvalue()


def test_secret_in_a_local_variable(log: FilteringBoundLogger, stream: io.StringIO) -> None:
    """A traceback has no local variables."""
    local = str(10**20)
    log.error("job.raised", exc_info=raised(ZeroDivisionError()))
    (line,) = lines(stream)
    assert "in raised" in str(line["exception"])
    assert local not in str(line["exception"])


@pytest.mark.parametrize("where", ["the program", "a thread"])
def test_secret_in_what_nobody_catches(where: str) -> None:
    """A bug that ends the program, or a thread of it, is one line like every other, with nothing secret."""
    script = (
        "import sys, threading\n"
        "from rotator.edges.logs import log_crashes, logger\n"
        "from rotator.edges.redactor import Redactor\n"
        "redactor = Redactor()\n"
        f"redactor.register({SECRET!r}, permanent=True)\n"
        "log_crashes(logger('info', 'json', redactor))\n"
        "def crash():\n"
        f"    raise RuntimeError('no way with {SECRET}')\n"
        "threading.Thread(target=crash, name='T').start() if sys.argv[1] == 'a thread' else crash()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, where], capture_output=True, text=True, check=False)
    (line,) = (json.loads(each) for each in done.stderr.splitlines())
    thread, code = ("T", 0) if where == "a thread" else ("MainThread", 1)
    assert (done.returncode, line["level"], line["event"], line["thread"]) == (
        code,
        "critical",
        "rotator.crashed",
        thread,
    )
    assert SECRET not in done.stderr
    assert "RuntimeError: no way with [secret]" in line["exception"]


WARN = f"""
import sys, warnings
from rotator.edges.logs import logger
from rotator.edges.redactor import Redactor
redactor = Redactor()
redactor.register({SECRET!r}, permanent=True)
logger("info", "json", redactor, sys.stderr)
warnings.warn("a library has read {SECRET}", UserWarning)
"""


def test_warning_of_a_library_is_a_line_as_any_other() -> None:
    """An answer can have a library warn, as one with an odd certificate does: Python would write it as it is."""
    ended = subprocess.run([sys.executable, "-c", WARN], capture_output=True, text=True, check=True, timeout=60)
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert line["level"] == "warning"
    assert f"a library has read {REDACTED}" in line["event"]


def test_secret_that_is_learnt_later(log: FilteringBoundLogger, stream: io.StringIO, redactor: Redactor) -> None:
    """From the moment a value is known to be secret, it is not printed."""
    redactor.register("another-secret", permanent=True)
    log.info("something.happened", value="is another-secret there?")
    assert [f"is {REDACTED} there?"] == [line["value"] for line in lines(stream)]


def test_secret_that_is_too_short(log: FilteringBoundLogger, stream: io.StringIO, redactor: Redactor) -> None:
    """A value so short that it could be any word is not struck out: lines stay readable."""
    redactor.register("sweep", permanent=True)
    log.info("sweep.finished")
    assert [line["event"] for line in lines(stream)] == ["sweep.finished"]


def test_secrets_are_remembered_for_long(redactor: Redactor) -> None:
    """The secret itself is still known after many tokens were."""
    for number in range(1000):
        redactor.register(f"token-number-{number:04}", permanent=False)
    assert f"{REDACTED} and {REDACTED}" == redactor.redact(f"{SECRET} and token-number-0999")


def test_redact_forgets_the_oldest_tokens(redactor: Redactor) -> None:
    """Of values that come and go the last thousand are known, each once, and what is in use for long is kept."""
    for number in (*range(1001), 1000, 1):
        redactor.register(f"token-number-{number:04}", permanent=False)
    assert redactor.redact("token-number-0000") == "token-number-0000"
    assert redactor.redact("token-number-0001") == REDACTED
    assert redactor.redact(SECRET) == REDACTED


@pytest.mark.parametrize("length", [8, 9, 10, 11, 12, 37, 1500])
def test_redact_finds_a_value_at_any_place(length: int) -> None:
    """Whatever stands before and behind it, also itself, and whatever else is known, a value is found."""
    redactor = Redactor()
    values = ["".join(chr(33 + (n * n * 7 + n + seed * 13) % 90) for n in range(length)) for seed in range(50)]
    for value in values:
        redactor.register(value, permanent=ord(value[0]) % 2 == 0)
    for value in values:
        for before in range(6):
            for after in range(6):
                text = f"{' ' * before}{value}{' ' * after}"
                assert redactor.redact(text) == f"{' ' * before}{REDACTED}{' ' * after}"
        assert redactor.redact(value + value) == REDACTED * 2
        assert redactor.redact(value[:-1]) == value[:-1]
        assert redactor.redact(value[1:]) == value[1:]


def test_redact_finds_a_value_in_a_long_text() -> None:
    """A long text is looked at in chunks; a value may begin in one and end in the next."""
    redactor = Redactor()
    redactor.register(SECRET, permanent=True)
    for before in (*range(CHUNK - len(SECRET) - 1, CHUNK + 5), 3 * CHUNK - 1):
        assert redactor.redact(f"{'x' * before}{SECRET}y") == f"{'x' * before}{REDACTED}y"


def test_redact_gives_back_the_text_without_a_value() -> None:
    """It is the same object, also if it has a piece of a value: callers see by that that nothing was redacted."""
    redactor = Redactor()
    redactor.register(SECRET, permanent=True)
    for text in (f"    {SECRET[-4:]}", "nothing of it is here"):
        assert redactor.redact(text) is text


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_line_that_cannot_be_written_is_lost(redactor: Redactor, error: Exception) -> None:
    """A stream whose reader has ended, or that is closed, does not stop the program, and the next line is written."""
    stream, tried = io.StringIO(), mock.Mock(side_effect=[error, None])
    with mock.patch.object(stream, "write", tried):
        log = logger("info", "json", redactor, stream)
        log.info("lost.line")
        log.info("next.line")
    assert [json.loads(call.args[0])["event"] for call in tried.call_args_list] == ["lost.line", "next.line"]


def test_redact_what_overlaps_as_one() -> None:
    """Where one value is a part of another one, or they share some characters, nothing of either is left."""
    redactor = Redactor()
    for value in ("inner-secret", "the-inner-secret-and-more", "and-more-of-it"):
        redactor.register(value, permanent=True)
    assert redactor.redact("<the-inner-secret-and-more-of-it>") == f"<{REDACTED}>"
    assert redactor.redact("<inner-secret>") == f"<{REDACTED}>"


@pytest.mark.parametrize(
    "value", ["a<b&c>d'e\"f", "line\nline\ttab", "back\\slash\\es", "pässwörter", "bell\x07esc\x1b[0m"]
)
def test_redact_what_a_page_or_json_has_escaped(value: str) -> None:
    """A value is found in text that was escaped before, whatever its characters."""
    redactor = Redactor()
    redactor.register(value, permanent=True)
    page = environment().from_string("<p>{{ value }}</p>").render(value=value.replace("\n", "").replace("\t", ""))
    if value.isprintable():
        assert redactor.redact(page) == f"<p>{REDACTED}</p>"
    assert redactor.redact(json.dumps({"a": value})) == json.dumps({"a": REDACTED})
    assert redactor.redact(f"({value})") == f"({REDACTED})"
    assert redactor.redact(f"({printable(value)})") == f"({REDACTED})"


@pytest.mark.parametrize("value", ["aBc+/=~d.e-f_g", "a value & more", "p\u00e4ssw\u00f6rter"])
def test_redact_what_a_url_or_a_form_has_escaped(value: str) -> None:
    """A service that quotes the request quotes the form; a link has a name percent-encoded."""
    redactor = Redactor()
    redactor.register(value, permanent=True)
    for text in (urlencode({"a": value}), f"a={quote(value)}", f"a={quote(value, safe='')}"):
        assert redactor.redact(text) == f"a={REDACTED}"


def test_redact_looks_up_no_more_where_more_is_known() -> None:
    """The work for a text is the same whether one value is known or thousands."""

    class Counting(str):
        """A text that counts how often it is compared."""

        __slots__ = ()
        compared = 0

        def startswith(self, *args: Any) -> bool:
            Counting.compared += 1
            return super().startswith(*args)

    redactor = Redactor()
    for number in range(3000):
        redactor.register(f"eyJ0eXAi{hashlib.sha256(str(number).encode()).hexdigest()}", permanent=True)
    text = Counting("keyset.held of contoso eyJ0eXAi " * 100 + hashlib.sha256(b"7").hexdigest())
    redactor.redact(text)
    assert Counting.compared <= 10


def test_numbers_and_nothing_stay_what_they_are(log: FilteringBoundLogger, stream: io.StringIO) -> None:
    """JSON keeps numbers, truth and null; what it does not know is a text."""
    log.info(
        "something.happened", whole=1, real=0.5, true=True, nothing=None, mode=Mode.OBSERVE, thing=timedelta_like()
    )
    (line,) = lines(stream)
    assert (
        line["whole"],
        line["real"],
        line["true"],
        line["nothing"],
        line["mode"],
        line["thing"],
    ) == (1, 0.5, True, None, "observe", "a thing")


def timedelta_like() -> object:
    """Something that JSON has no form for."""

    class Thing:
        def __str__(self) -> str:
            return "a thing"

    return Thing()


def log_outcome(log: FilteringBoundLogger, outcome: Outcome) -> None:
    """Write the line of one outcome."""
    EventLog(log).on_event(Looked(outcome=outcome, is_preliminary=False, failures=0))


def policy() -> RotationPolicy:
    """Any policy."""
    values = PolicySettings().model_dump()
    values["overlap"] = values["renewal_window"]
    return RotationPolicy(keyset_id="B2C_1A_X", use="sig", **values)


def test_failure_that_is_a_bug_has_its_traceback(log: FilteringBoundLogger, stream: io.StringIO) -> None:
    """A failure is one line with what is known of it; a bug brings its traceback, in the same line."""
    observation = Observation(
        tenant="contoso", tenant_id=tenant_id(), policy=policy(), now=datetime(2030, 1, 1, tzinfo=UTC)
    )
    known = Failure(
        kind=FailureKind.FORBIDDEN, message="no", status=403, code="x", request_id="theirs", client_request_id="ours"
    )
    log_outcome(log, Failed(observation=observation, failure=known))
    bug = Failure(kind=FailureKind.INTERNAL, message="a bug")
    log_outcome(log, Failed(observation=observation, failure=bug, bug=raised(ZeroDivisionError())))
    first, second = lines(stream)
    first.pop("timestamp")
    assert first == {
        "level": "error",
        "event": "keyset.failed",
        "tenant": "contoso",
        "keyset": "B2C_1A_X",
        "kind": "forbidden",
        "message": "no",
        "status": 403,
        "code": "x",
        "request_id": "theirs",
        "client_request_id": "ours",
    }
    assert "ZeroDivisionError" in str(second["exception"])
    assert "status" not in second


def test_exchange_is_a_line_of_debug(stream: io.StringIO, redactor: Redactor) -> None:
    """Each request is a line with the id that a support case needs."""
    log = logger("debug", "json", redactor, stream)
    exchange = Exchange(operation="token", client_request_id="ours", status=None, seconds=0.12345)
    EventLog(log).on_event(RequestFinished(tenant="contoso", tenant_id=tenant_id(), exchange=exchange))
    (line,) = lines(stream)
    assert (
        line["level"],
        line["event"],
        line["tenant"],
        line["operation"],
        line["status"],
        line["seconds"],
        line["client_request_id"],
    ) == ("debug", "request.finished", "contoso", "token", None, 0.123, "ours")


@pytest.mark.parametrize(
    ("days", "level", "shortfall"),
    [
        pytest.param(1, "info", None, id="as it should be"),
        pytest.param(61, "warning", {"overlap": "23d"}, id="the overlap was raised above what is left"),
    ],
)
def test_planned_key_that_falls_short_is_a_warning(
    log: FilteringBoundLogger, stream: io.StringIO, days: int, level: str, shortfall: dict[str, str] | None
) -> None:
    """What falls short is in the line, and a lost overlap, which nobody notices otherwise, is a warning."""
    now, day = datetime(2030, 1, 1, tzinfo=UTC), timedelta(days=1)
    rules = replace(policy(), overlap=days * day, publication_lead=2 * day, renewal_window=50 * day, mode=Mode.ROTATE)
    found = Keyset(id="B2C_1A_X", keys=(Key(kid="k", nbf=now - 10 * day, exp=now + 40 * day),))
    decision = decide(rules, found, now)
    assert isinstance(decision, Rotate)
    seen = Observation(
        tenant="contoso", tenant_id=tenant_id(), policy=rules, now=now, keyset=found, assessment=decision.assessment
    )
    log_outcome(log, Planned(observation=seen, reason=decision.reason, spec=decision.spec))
    (line,) = lines(stream)
    assert (line["event"], line["level"], line.get("shortfall"), line["cover"]) == (
        "keyset.planned",
        level,
        shortfall,
        "dated",
    )


JWE = "eyJhbGciOiJSU0EtT0FFUCJ9.OKOawDo13gRp2oja.48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZodetZdvT"


@pytest.mark.parametrize("token", [JWE, "eyJhbGciOiJkaXIifQ..48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZodetZdvT"])
def test_encrypted_token_goes_by_its_shape(redactor: Redactor, token: str) -> None:
    """A token of five parts is struck out in full, also where its key is empty."""
    assert redactor.redact(f"said {token} here") == f"said {REDACTED} here"


def test_message_is_bounded_after_redaction(log: FilteringBoundLogger, stream: io.StringIO, redactor: Redactor) -> None:
    """A message has at most 500 characters; a secret across the end is struck out before it is cut."""
    redactor.register("echoed-secret-value", permanent=True)
    log.error("keyset.failed", message="x" * 495 + "echoed-secret-value" + "y" * 100)
    message = json.loads(stream.getvalue())["message"]
    assert (len(message), message[-5:], "echo" in message) == (500, "[s...", False)


def test_log_of_changes_by_others(log: FilteringBoundLogger, stream: io.StringIO) -> None:
    """One line for all changes that one look shows."""
    changes = (
        Change(kind=ChangeKind.KEY_ADDED, seen=datetime(2030, 1, 1, tzinfo=UTC), kid="k"),
        Change(kind=ChangeKind.KEYSET_RECREATED, seen=datetime(2030, 1, 1, tzinfo=UTC)),
    )
    EventLog(log).on_event(KeysetChanged(tenant="contoso", keyset="B2C_1A_X", changes=changes))
    (line,) = lines(stream)
    assert {name: line[name] for name in ("level", "event", "tenant", "keyset", "changes")} == {
        "level": "warning",
        "event": "keyset.changed",
        "tenant": "contoso",
        "keyset": "B2C_1A_X",
        "changes": [{"change": "key_added", "kid": "k"}, {"change": "keyset_recreated", "kid": None}],
    }
