from dataclasses import replace
from datetime import timedelta

import pytest
from views.cases import NOW, failed, key, looked_at, policy, refused

from rotator.core.keyset import Key
from rotator.core.outcome import Outcome
from rotator.core.policy import Mode
from rotator.views.document import row
from rotator.views.status import status
from rotator.views.table import table
from rotator.views.words import remaining

HOSTILE = "\x1b[31mred\nline\u202e"
LONG = "B2C_1A_" + "KeysetOfTheNorthwindProduction" * 3
OUTCOMES: list[Outcome] = [
    looked_at(key("a" * 43, -80, 11), key("b" * 43, 70, 200, enabled=False)),
    looked_at(key("net", None, None), of=policy("B2C_1A_Undated")),
    looked_at(of=policy("B2C_1A_Empty")),
    looked_at(key("c" * 43, -90.5, 0.2), key("d" * 43, 1, 90), of=policy(LONG, Mode.OBSERVE)),
    looked_at(key("net", None, None), of=policy("B2C_1A_Observed", Mode.OBSERVE)),
    looked_at(of=policy("B2C_1A_Nothing", Mode.OBSERVE)),
    looked_at(*(key(f"k{n}", -50 + n, 100 + n) for n in range(45)), key("odd", 20, 10), of=policy("B2C_1A_Many")),
    refused(looked_at(key("e" * 43, -100, -9), of=policy("B2C_1A_Expired")), "grant it this"),
    failed(
        "a line that is long enough to be wrapped, with what happened and what somebody should do about it, at once",
        policy("B2C_1A_Failed"),
    ),
]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_status_fits_the_terminal(width: int) -> None:
    """No line is wider than the terminal."""
    lines = status(OUTCOMES, NOW, width, colour=False).splitlines()
    assert [line for line in lines if len(line) > width] == []


def test_status_without_colour_has_no_escape() -> None:
    """Colour is only where it is asked for, and never the only sign."""
    plain, coloured = (status(OUTCOMES, NOW, 80, colour=colour) for colour in (False, True))
    assert "\x1b" not in plain
    assert (
        coloured.replace("\033[32m", "").replace("\033[33m", "").replace("\033[31m", "").replace("\033[0m", "") == plain
    )


def test_status_draws_keys_against_time() -> None:
    """Each key has its line: active, valid, planned, and now."""
    text = status([looked_at(key("abcdefgh", -10, 81))], NOW, 80, colour=False)
    (drawn,) = [line for line in text.splitlines() if line.startswith("  abcdefgh") and "|" in line]
    assert "==|==" in drawn
    assert text.count("  planned ") == 2
    (plan,) = [line for line in text.splitlines() if line.startswith("  plan ")]
    assert "wwl" in plan
    assert plan.count("o") == 3


def test_status_draws_disabled_keys() -> None:
    """A key that is disabled has its place in time, and a glyph of its own."""
    text = status([looked_at(key("a", -10, 81), key("off", 30, 100, enabled=False))], NOW, 80, colour=False)
    (drawn,) = [line for line in text.splitlines() if line.startswith("  off") and "|" in line]
    assert "xxxx" in drawn


def test_status_counts_troubles() -> None:
    """The last line is no praise for what is in trouble."""
    text = status(OUTCOMES, NOW, None, colour=False)
    assert text.splitlines()[-1] == "9 keysets: 3 no valid key, 1 cover is ending, 1 failed, 2 held, 2 planned"


def test_status_ends_with_what_is_in_trouble() -> None:
    """Above the prompt stands what is in trouble, the most urgent first, with what is left and what to do."""
    text = status(OUTCOMES, NOW, None, colour=False)
    lines = text.partition("In trouble:\n")[2].splitlines()[:5]
    names = ("B2C_1A_Empty", "B2C_1A_Nothing", "B2C_1A_Expired", LONG, "B2C_1A_Failed")
    assert [line.partition(" (")[0] for line in lines] == [f"contoso/{name}" for name in names]
    assert lines[0].startswith("contoso/B2C_1A_Empty (it has no keys): no valid key: nobody can sign in")
    assert " (the last one expired 9d ago): " in lines[2]
    assert " (4h48m left): cover is ending: " in lines[3]
    assert "mode observe: rotator itself will not act" in lines[3]


def test_status_is_late_since_it_was_to_be_published() -> None:
    """Late is what is past publish_by, which comes before the new key was to begin."""
    text = status([looked_at(key("a", -89, 2))], NOW, 80, colour=False)
    assert "  late since     2029-12-31T00:00:00Z  1d ago\n" in text
    assert "  takes over     2030-01-02T00:00:00Z  in 1d\n" in text


@pytest.mark.parametrize(
    "render", [lambda o: table(o, NOW, 80), lambda o: status(o, NOW, 80, colour=False)], ids=["table", "status"]
)
def test_hostile_kid_stays_on_its_line(render: object) -> None:
    """Terminal escapes, line ends and bidirectional overrides in a kid are written as escapes."""
    assert callable(render)
    text = render([looked_at(key(HOSTILE, -80, 11), key(HOSTILE, 30, 60, enabled=False)), failed(HOSTILE)])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not any(line.startswith("line") for line in text.splitlines())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "now"),
        (1, "in 1s"),
        (-1, "1s ago"),
        (61, "in 1m1s"),
        (3600, "in 1h"),
        (90_061, "in 1d1h"),
        (86_399, "in 23h59m"),
    ],
)
def test_remaining_in_its_two_largest_units(seconds: int, expected: str) -> None:
    """A span is told so that it can be grasped."""
    assert remaining(NOW.fromtimestamp(NOW.timestamp() + seconds, NOW.tzinfo), NOW) == expected


def test_row_of_a_keyset_that_was_not_seen_is_null_where_it_must_be() -> None:
    """Every member is there, null where it does not apply."""
    found = row(failed("no"))
    assert {name for name, value in found.items() if value is None} == {
        "active_kid",
        "covered_until",
        "cover",
        "would",
        "renewal_due",
        "publish_by",
        "activation",
        "key",
        "notes",
    }


def test_row_of_what_is_observed_says_what_would_be_done() -> None:
    """The reason that there would be, and the key; nothing of it where something may be done."""
    rules = policy(mode=Mode.OBSERVE)
    due, fine = row(looked_at(key("a", -80, 11), of=rules)), row(looked_at(key("a", -10, 81), of=rules))
    nbf = int((NOW + timedelta(days=10)).timestamp())
    assert (due["outcome"], due["reason"], due["would"]) == ("held", "observe", "renewal_due")
    assert due["key"] == {"use": "sig", "kty": "RSA", "nbf": nbf, "exp": nbf + 91 * 86400, "kid": None}
    assert (fine["would"], fine["key"]) == ("not_due", None)
    assert row(looked_at(key("a", -10, 81)))["would"] is None


@pytest.mark.parametrize(
    ("found", "cover", "column"),
    [
        ([key("a", -10, 81)], "dated", "in 81d"),
        ([key("n", None, None)], "endless", "no end"),
        ([key("n", None, None, enabled=False)], "none", "no valid key"),
    ],
)
def test_cover_is_told_alike(found: list[Key], cover: str, column: str) -> None:
    """Cover that has no end is never told as now."""
    outcome = looked_at(*found)
    told = row(outcome)
    assert (told["cover"], told["covered_until"] is None) == (cover, cover != "dated")
    (line,) = [line for line in table([outcome], NOW, None).splitlines() if line.startswith("  B2C_1A_X")]
    assert column in line


def test_what_falls_short_is_told_with_amounts() -> None:
    """Table and status say whether lead, overlap or cover is hurt, and by how much."""
    outcome = looked_at(key("a", -10, 40), of=replace(policy(), overlap=timedelta(days=61)))
    assert "falls short: overlap by 23d" in table([outcome], NOW, None)
    assert "  falls short    overlap by 23d" in status([outcome], NOW, None, colour=False).splitlines()


def test_certificate_is_told_what_to_do() -> None:
    """A keyset of certificates says who must act."""
    outcome = looked_at(replace(key("c", -350, 15), has_certificate=True))
    assert "upload the next certificate" in table([outcome], NOW, None)
    assert "upload the next certificate" in status([outcome], NOW, None, colour=False)
