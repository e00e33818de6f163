"""`rotator simulate`, from the command line to what it prints."""

import json
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path

import icalendar
import pytest

from rotator import cli
from rotator.core.errors import ConfigError
from rotator.core.history import Affected, Outage
from rotator.edges.config_changes import changed, parse_change
from rotator.edges.seed_file import read_seed
from rotator.simulation.outage import parse_outage

NOW = datetime(2027, 1, 1, tzinfo=UTC)
CONFIG = """
calendars:
  office:
    time_zone: Europe/Berlin
    freeze:
      - {from: 12-20, to: 01-06, reason: "quiet; please"}
defaults: {calendar: null}
tenants:
  - name: contoso
    tenant_id: contoso.onmicrosoft.com
    credential: {client_id: app, client_secret_env: NOT_SET}
    keysets:
      - {id: B2C_1A_Sig, use: sig}
      - {id: B2C_1A_Enc, use: enc, calendar: office}
"""
SEED = """
tenants:
  - domain: Contoso.onmicrosoft.com
    apps: [{client_id: ignored}]
    keysets:
      - id: B2C_1A_Sig
        keys: [{nbf: now-10d, exp: now+81d1h}]
      - id: B2C_1A_Enc
        keys: [{use: enc, nbf: now-10d, exp: now+95d}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "rotator.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    (tmp_path / "seed.yaml").write_text(SEED, encoding="utf-8")
    return path


def simulate(config: Path, *more: str) -> int:
    seed = config.with_name("seed.yaml")
    return cli.main(["simulate", "--config", str(config), "--from", str(seed), "--years", "1", *more])


def document(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, object]:
    assert simulate(config, "--output", "json", *more) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_table(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each key below its keyset, with the zone of its calendar, and totals."""
    assert simulate(config) == 0
    out = capsys.readouterr().out
    assert "contoso/B2C_1A_Sig\n  GENERATED" in out
    assert out.count("Europe/Berlin") == 5
    assert "UTC" in out
    assert "closest call: " in out
    assert " keys, " in out
    assert "traceback" not in out.lower()


def test_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys that were there and keys that were generated, with lead and overlap, and nothing that breaks."""
    found = document(config, capsys)
    first = found["keysets"][0]["keys"]  # type: ignore[index]
    assert first[0]["generated"] is None
    assert [each["overlap_seconds"] for each in first[1:]] == [25 * 3600] * (len(first) - 1)
    assert all(each["lead_seconds"] >= 48 * 3600 for each in first[1:])
    assert found["breaches"] == []
    assert found["keys"] == 8


def test_check(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3, and the first instant on stderr, where an outage breaks a promise; 0 if none does."""
    assert simulate(config, "--check") == 0
    assert capsys.readouterr().err == ""
    begin = datetime.now(UTC) + timedelta(days=60)
    assert simulate(config, "--check", "--output", "json", "--outage", f"{begin:%Y-%m-%d}+33d") == 3
    out, err = capsys.readouterr()
    breaches = json.loads(out)["breaches"]
    assert [each["at"] for each in breaches] == sorted(each["at"] for each in breaches)
    assert {"cover"} <= {each["promise"] for each in breaches}
    assert f"rotator: simulate: a promise is broken; first at {breaches[0]['at']} contoso/" in err


def test_writes_fail_and_reads_do_not(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """During an outage of writes lists are answered, so fewer requests are repeated than in one of everything."""
    begin = datetime.now(UTC) + timedelta(days=2)
    requests = [
        document(config, capsys, "--outage", f"{begin:%Y-%m-%d}+20d{which}")["requests"] for which in ("", ":writes")
    ]
    assert requests[0] > requests[1]  # type: ignore[operator]


def test_set(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A setting by its path changes the simulation, and a mistake in it is said as one in the file."""
    plain = document(config, capsys)
    found = document(
        config, capsys, "--set", "defaults.rotate_every=60d", "--set", "tenants[0].keysets[1].mode=observe"
    )
    assert len(found["keysets"][0]["keys"]) > len(plain["keysets"][0]["keys"])  # type: ignore[index]
    assert len(found["keysets"][1]["keys"]) == 1  # type: ignore[index]
    with pytest.raises(SystemExit, match="78"):
        simulate(config, "--set", "defaults.rotate_evry=30d")
    assert "did you mean rotate_every" in capsys.readouterr().err


def test_compare(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only keysets that differ are printed, with the rows of either; nothing if nothing differs."""
    other = config.with_name("other.yaml")
    other.write_text(CONFIG.replace("use: sig}", "use: sig, renewal_window: 3d}"), encoding="utf-8")
    assert simulate(config, "--compare", str(other)) == 0
    out = capsys.readouterr().out
    assert "B2C_1A_Enc\n  " not in out
    assert out.count("\n  - ") == out.count("\n  + ") == 4
    assert simulate(config, "--compare", str(other), "--output", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["keyset"] for each in found["second"]["keysets"]] == ["B2C_1A_Sig"]
    assert simulate(config, "--compare", str(config)) == 0
    assert capsys.readouterr().out.startswith("no key differs\n")


def test_svg(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One picture with each keyset, its keys, the outage and the freezes."""
    begin = datetime.now(UTC) + timedelta(days=30)
    assert simulate(config, "--output", "svg", "--outage", f"{begin:%Y-%m-%d}+2d:reads") == 0
    root = ET.fromstring(capsys.readouterr().out)
    kinds = [each.get("class") for each in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert kinds.count("there") == 2
    assert kinds.count("made") + kinds.count("other") == 8
    assert kinds.count("outage") == 1
    assert kinds.count("freeze") in (1, 2)
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"contoso/B2C_1A_Sig", "contoso/B2C_1A_Enc"} <= set(texts)


def test_ics(config: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """A calendar of what is foreseen, which ends with CRLF and nothing after it."""
    assert simulate(config, "--output", "ics") == 0
    out = capsysbinary.readouterr().out
    assert out.endswith(b"END:VCALENDAR\r\n")
    events = icalendar.Calendar.from_ical(out).walk("VEVENT")
    assert sum(str(each["STATUS"]) == "TENTATIVE" for each in events) == 16
    assert sum("freeze" in str(each["SUMMARY"]) for each in events) in (1, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--outage", "tomorrow"],
        ["--set", "no equals"],
        ["--years", "0"],
        ["--live"],  # --from is given, too
        ["--compare", "x.yaml", "--output", "svg"],
    ],
)
def test_command_line_that_is_not_valid(config: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 64, and a line that says why."""
    with pytest.raises(SystemExit, match="64"):
        simulate(config, *arguments)
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "outage"),
    [
        ("2027-03-01+5d", Outage(begin=datetime(2027, 3, 1, tzinfo=UTC), end=datetime(2027, 3, 6, tzinfo=UTC))),
        (
            "2027-03-01T06:00:00+02:00+90m:writes",
            Outage(
                begin=datetime(2027, 3, 1, 4, tzinfo=UTC),
                end=datetime(2027, 3, 1, 5, 30, tzinfo=UTC),
                affected=Affected.WRITES,
            ),
        ),
    ],
)
def test_outage(text: str, outage: Outage) -> None:
    assert parse_outage(text) == outage


@pytest.mark.parametrize("text", ["", "2027-03-01", "+5d", "2027-03-01+", "2027-03-01+0s", "2027-03-01+5d:some"])
def test_outage_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not an outage"):
        parse_outage(text)


def test_changes_leave_the_content_alone() -> None:
    """A path makes the mappings that it needs; a variable of the same path is not passed over in silence."""
    content = {"tenants": [{"keysets": [{"id": "a"}]}]}
    found = changed(content, [parse_change("tenants[0].keysets[0].mode=observe"), parse_change("log.level=debug")], {})
    assert found == {"tenants": [{"keysets": [{"id": "a", "mode": "observe"}]}], "log": {"level": "debug"}}
    assert content == {"tenants": [{"keysets": [{"id": "a"}]}]}
    for key in ("tenants[1].name=x", "tenants.name=x", "tenants[0][0]=x"):
        with pytest.raises(ConfigError, match="is not the path of a setting"):
            changed(content, [parse_change(key)], {})
    with pytest.raises(ConfigError, match="ROTATOR_LOG__LEVEL"):
        changed(content, [parse_change("log.level=debug")], {"ROTATOR_LOG__LEVEL": "info"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nbf: soon", "keys\\[0\\].nbf: 'soon' is not an instant"),
        ("nbf: 2027-01-01 00:00:00", "is not an instant"),
        ("nbf: true", "is not an instant"),
    ],
)
def test_seed_that_is_not_valid(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text(f"tenants: [{{domain: a, keysets: [{{id: B2C_1A_X, keys: [{{{line}}}]}}]}}]", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_seed(path, NOW)


def test_seed(tmp_path: Path) -> None:
    """Instants in each spelling; tenants by domain and by id."""
    path = tmp_path / "seed.yaml"
    path.write_text(
        "tenants: [{domain: A.example, id: X, keysets: [{id: B2C_1A_X, keys: "
        "[{nbf: now-1d, exp: 2027-05-01T00:00:00Z}, {nbf: 1798761600, status: disabled}, {}]}]}]",
        encoding="utf-8",
    )
    found = read_seed(path, NOW)
    assert found["a.example"] == found["x"]
    dated, disabled, undated = found["x"][0].keys
    assert (dated.nbf, dated.exp) == (NOW - timedelta(days=1), datetime(2027, 5, 1, tzinfo=UTC))
    assert (disabled.nbf, disabled.enabled) == (NOW, False)
    assert (undated.nbf, undated.exp) == (None, None)


def test_nothing_of_the_emulator_is_imported() -> None:
    """A simulation runs where the emulator's libraries are not installed."""
    modules = [name for name in sys.modules if name.startswith("rotator.simulation")]
    assert modules
    source = "".join(
        path.read_text(encoding="utf-8") for path in (Path(cli.__file__).parent / "simulation").glob("*.py")
    )
    assert "emulator" not in source
