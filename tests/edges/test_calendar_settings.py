"""Calendars and holds in the configuration: what they mean, what is refused, and what `config check` says."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from core.calendars import at

from rotator.cli import main
from rotator.core.calendar import OnceFreeze, Window, YearlyFreeze
from rotator.core.errors import ConfigError
from rotator.core.hold import PolicyHold
from rotator.core.policy import RotationPolicy
from rotator.edges import config
from rotator.edges.settings import Settings

NOW = at("2026-11-28T12:00:00")
OFFICE = """
time_zone: Europe/Berlin
allow:
  - {days: [tue, wed, thu], from: "09:00", to: "16:00"}
  - {days: [tue], dates: 1-7, from: "02:00", to: "04:00"}
freeze:
  - {from: 12-01, to: 12-31, reason: December}
  - {from: 2027-03-15, to: 2027-03-19, reason: launch}
"""
HOLD = {"until": date(2027, 1, 8), "by": "alice@example.com", "reason": "CHG-1234"}


def written(
    folder: Path, *, keysets: Sequence[Mapping[str, Any]], tenant: Mapping[str, Any] | None = None, **more: Any
) -> Path:
    """A configuration file with *keysets* of one tenant, and *more*."""
    named = [{"id": f"B2C_1A_{number}", "use": "sig", **each} for number, each in enumerate(keysets)]
    one = {
        "name": "contoso",
        "tenant_id": "contoso.onmicrosoft.com",
        "credential": {"client_id": "app", "client_secret_file": "/secret"},
        "keysets": named,
        **(tenant or {}),
    }
    path = folder / "rotator.yaml"
    path.write_text(yaml.safe_dump({"tenants": [one], **more}, sort_keys=False), encoding="utf-8")
    return path


def loaded(folder: Path, **content: Any) -> Settings:
    """What comes of a configuration, on a day in November 2026."""
    return config.load(written(folder, **content), {}, now=NOW)


def policies(folder: Path, **content: Any) -> tuple[RotationPolicy, ...]:
    """The policies of a configuration."""
    settings = loaded(folder, **content)
    return settings.policies(settings.tenants[0])


def problems(folder: Path, **content: Any) -> list[str]:
    """What is wrong with a configuration."""
    with pytest.raises(ConfigError) as raised:
        loaded(folder, **content)
    return [str(problem) for problem in raised.value.problems]


def office(**changes: Any) -> dict[str, Any]:
    """The calendar of the documents, with *changes*."""
    return {**yaml.safe_load(OFFICE), **changes}


# --- what they mean


def test_calendar_of_the_documents(tmp_path: Path) -> None:
    """Each part of a calendar is read as it is meant."""
    (rules,) = policies(tmp_path, keysets=[{"calendar": "office"}], calendars={"office": office()})
    assert rules.calendar is not None
    assert (rules.calendar.name, rules.calendar.zone_name) == ("office", "Europe/Berlin")
    assert rules.calendar.windows == (
        Window(days=frozenset({1, 2, 3}), opens=9 * 3600, closes=16 * 3600),
        Window(days=frozenset({1}), dates=(1, 7), opens=2 * 3600, closes=4 * 3600),
    )
    assert rules.calendar.freezes == (
        YearlyFreeze(first=(12, 1), last=(12, 31), reason="December"),
        OnceFreeze(first=date(2027, 3, 15), last=date(2027, 3, 19), reason="launch"),
    )


def test_window_without_hours_is_the_whole_day(tmp_path: Path) -> None:
    """What a window does not say does not bound it; one date is a span of one day."""
    calendars = {"c": {"time_zone": "UTC", "allow": [{"days": ["sun"]}, {"dates": 15, "from": "22:00", "to": "02:00"}]}}
    (rules,) = policies(tmp_path, keysets=[{"calendar": "c"}], calendars=calendars)
    assert rules.calendar is not None
    assert rules.calendar.windows == (
        Window(days=frozenset({6})),
        Window(dates=(15, 15), opens=22 * 3600, closes=2 * 3600),
    )


def test_keyset_chooses_another_calendar_or_none(tmp_path: Path) -> None:
    """What a keyset says goes before the defaults; null is said as well."""
    chosen = policies(
        tmp_path,
        keysets=[{}, {"calendar": None}, {"calendar": "other"}],
        calendars={"office": office(), "other": {"time_zone": "Asia/Kolkata"}},
        defaults={"calendar": "office"},
    )
    assert [each.calendar and each.calendar.name for each in chosen] == ["office", None, "other"]


def test_most_specific_hold_applies(tmp_path: Path) -> None:
    """Keyset, tenant, defaults; null lifts a hold."""
    own = {**HOLD, "reason": "own"}
    keysets = [{"hold": own}, {"hold": None}, {}]
    for tenant, last in (({}, "CHG-1234"), ({"hold": {**HOLD, "reason": "tenant"}}, "tenant"), ({"hold": None}, None)):
        found = policies(tmp_path, keysets=keysets, tenant=tenant, defaults={"hold": HOLD})
        assert [each.hold and each.hold.reason for each in found] == ["own", None, last]
        assert found[0].hold == PolicyHold(until=date(2027, 1, 8), by="alice@example.com", reason="own")


def test_calendar_of_defaults_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scalar can be overridden from the environment, like every other."""
    monkeypatch.setenv("ROTATOR_DEFAULTS__CALENDAR", "office")
    (rules,) = policies(tmp_path, keysets=[{}], calendars={"office": office()})
    assert rules.calendar is not None


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"time_zone": "Europe/berlin"}, "time_zone", "did you mean Europe/Berlin?"),
        ({"time_zone": "Europe"}, "time_zone", "must be the name of a time zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "must be the name of a time zone"),
        ({"allow": [{"days": ["tuesday"]}]}, "allow[0].days[0]", "must be mon, tue"),
        ({"allow": [{"days": []}]}, "allow[0].days", "at least one entry"),
        ({"allow": [{"from": 600, "to": "16:00"}]}, "allow[0].from", 'from "00:00" to "24:00", in quotes'),
        ({"allow": [{"from": "24:01", "to": "16:00"}]}, "allow[0].from", 'from "00:00" to "24:00", in quotes'),
        ({"allow": [{"from": "9:00", "to": "16:00"}]}, "allow[0].from", 'from "00:00" to "24:00", in quotes'),
        ({"allow": [{"from": "09:00", "to": "09:00"}]}, "allow[0]", "from must differ from to"),
        ({"allow": [{"from": "24:00", "to": "09:00"}]}, "allow[0]", "must not be 24:00"),
        ({"allow": [{"dates": "7-1"}]}, "allow[0].dates", "must be days of a month"),
        ({"allow": [{"dates": "0-7"}]}, "allow[0].dates", "must be days of a month"),
        ({"allow": [{"dates": 32}]}, "allow[0].dates", "must be days of a month"),
        ({"allow": [{"form": "09:00"}]}, "allow[0].form", "did you mean from?"),
        ({"freeze": [{"from": "12-01"}]}, "freeze[0].to", "is missing"),
        ({"freeze": [{"from": "12-01", "to": "02-30"}]}, "freeze[0].to", "must be a day"),
        ({"freeze": [{"from": "12-1", "to": "12-31"}]}, "freeze[0].from", "must be a day"),
        ({"freeze": [{"from": 1201, "to": "12-31"}]}, "freeze[0].from", "must be a day"),
        ({"freeze": [{"from": "12-01", "to": date(2027, 1, 1)}]}, "freeze[0]", "both have a year, or neither"),
        (
            {"freeze": [{"from": date(2027, 1, 2), "to": date(2027, 1, 1)}]},
            "freeze[0]",
            "to must not be before from",
        ),
        ({"freeze": [{"from": "01-01", "to": "12-31"}]}, "", "is not open within ten years"),
        ({"allow": [{"dates": "31-31", "days": ["mon"]}], "freeze": [{"from": "01-01", "to": "12-30"}]}, None, ""),
    ],
)
def test_refused_calendars(tmp_path: Path, changes: dict[str, Any], path: str | None, message: str) -> None:
    """Each fault is named with its path, and no message repeats what stood there."""
    calendars = {"office": office(**changes)}
    if path is None:  # 31 December on a Monday: it opens, if only every few years
        assert set(loaded(tmp_path, keysets=[{}], calendars=calendars).calendars) == {"office"}
        return
    (found,) = problems(tmp_path, keysets=[{}], calendars=calendars)
    assert found.startswith(f"calendars.office{'.' if path else ''}{path}: ")
    assert message in found


def test_time_zone_is_required(tmp_path: Path) -> None:
    """A missing time zone is an error, and does not mean UTC."""
    assert problems(tmp_path, keysets=[{}], calendars={"c": {"allow": []}}) == ["calendars.c.time_zone: is missing"]


def test_unknown_calendars(tmp_path: Path) -> None:
    """A calendar that is named must be there."""
    found = problems(
        tmp_path,
        keysets=[{"calendar": "offic"}, {}],
        calendars={"office": office()},
        defaults={"calendar": "o"},
    )
    assert found == [
        "defaults.calendar: must be a name of calendars (office)",
        "tenants[0].keysets[0].calendar: must be a name of calendars (office)",
    ]


@pytest.mark.parametrize(
    ("changes", "stretch", "smallest"),
    [
        ({}, "2026-11-26 16:00 to 2027-01-05 02:00 Europe/Berlin, 39d10h", "55d10h1s"),
        ({"freeze": []}, "2028-10-26 16:00 to 2028-10-31 09:00 Europe/Berlin, 4d18h", "20d18h1s"),
        (
            {"allow": [{"days": ["tue"], "dates": "1-7", "from": "02:00", "to": "04:00"}], "freeze": []},
            "2028-10-03 04:00 to 2028-11-07 02:00 Europe/Berlin, 34d23h",
            "50d23h1s",
        ),
        (
            {"allow": [], "freeze": [{"from": "12-20", "to": "01-06"}]},
            "2026-12-20 00:00 to 2027-01-07 00:00 Europe/Berlin, 18d",
            "34d1s",
        ),
        (
            {"allow": [], "freeze": [{"from": date(2027, 2, 1), "to": date(2027, 2, 28)}]},
            "2027-02-01 00:00 to 2027-03-01 00:00 Europe/Berlin, 28d",
            "44d1s",
        ),
    ],
)
def test_calendar_that_cannot_be_kept(tmp_path: Path, changes: dict[str, Any], stretch: str, smallest: str) -> None:
    """The message names the stretch and the smallest `rotate_every`; that is accepted, and a second less is not."""
    content: dict[str, Any] = {"calendars": {"office": office(**changes)}, "keysets": [{}]}
    second_less = smallest.removesuffix("1s")
    (found,) = problems(tmp_path, **content, defaults={"calendar": "office", "rotate_every": second_less})
    assert found == (
        f"tenants[0].keysets[0]: calendar office is closed too long ({stretch}) for rotate_every ({second_less}); "
        f"set rotate_every to {smallest} or more"
    )
    settings = loaded(tmp_path, **content, defaults={"calendar": "office", "rotate_every": smallest})
    assert settings.defaults.calendar == "office"


# --- config check


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What `config check` prints, and warns of."""
    assert main(["config", "check", "--config", str(path)]) == 0
    said = capsys.readouterr()
    return said.out, said.err


def test_config_check_says_what_a_calendar_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Open or not, the longest closed stretch, the keys of ten years, and a better period."""
    first_tuesday = {"time_zone": "Europe/Berlin", "allow": [{"days": ["tue"], "dates": "1-7"}]}
    calendars = {"office": office(), "first": first_tuesday, "always": {"time_zone": "Asia/Kolkata"}}
    keysets = [{"calendar": "first"}, {"calendar": "first"}, {"calendar": "always"}]
    out, _ = checked(written(tmp_path, keysets=keysets, calendars=calendars), capsys)
    _, office_line, first_line, first_effect, always_line, always_effect = out.splitlines()
    assert office_line.startswith("calendar office (Europe/Berlin): ")
    assert "; closed for " in office_line
    assert "open now" in first_line or "closed now, opens Tue " in first_line
    assert first_effect.startswith("  rotate_every 90d (sig, 2 keysets): ")
    assert "keys in ten years, 40 without the calendar; every " in first_effect
    assert "; rotate_every 98d makes " in first_effect
    assert always_line == "calendar always (Asia/Kolkata): open now; never closed"
    assert always_effect.endswith("40 keys in ten years, 40 without the calendar; every 90d on average")


def test_config_check_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A window shorter than an hour, and holds that are over."""
    brief = {"time_zone": "UTC", "allow": [{"from": "23:30", "to": "00:29"}, {"from": "23:30", "to": "00:30"}]}
    over = {"hold": {"until": date(2020, 1, 1)}}
    path = written(
        tmp_path,
        keysets=[over, {"hold": {"until": date(2999, 1, 1)}}],
        calendars={"c": brief},
        tenant=over,
        defaults=over,
    )
    _, err = checked(path, capsys)
    warned = [
        line.partition(": ")[2] for line in err.splitlines() if "placeholder" not in line and "secret" not in line
    ]
    assert [line.partition(": ")[0] for line in warned] == [
        "calendars.c.allow[0]",
        "defaults.hold",
        "tenants[0].hold",
        "tenants[0].keysets[0].hold",
    ]
    assert "shorter than 1h" in warned[0]


def test_window_length() -> None:
    """The length of a window is by the wall clock, over midnight too."""
    assert Window(opens=23 * 3600, closes=3600).length == timedelta(hours=2)
    assert Window().length == timedelta(days=1)
