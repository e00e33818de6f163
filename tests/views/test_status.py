import pytest
from views.cases import NOW, failed, key, looked_at, policy, refused

from rotator.core.outcome import Outcome
from rotator.core.policy import Mode
from rotator.views.status import status
from rotator.views.table import table

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
    """Colour is only if it is requested, and never the only sign."""
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


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        pytest.param(80, "Jan 2030     Apr 2030     Jul 2030      Oct 2030", id="as on the page"),
        pytest.param(60, "Jan 2030 May 2030 Sep 2030", id="narrow"),
    ],
)
def test_status_dates_begin_where_they_are_true(width: int, expected: str) -> None:
    """A date on the axis begins in the column of the day that it names: this one is at the line of now."""
    lines = status([looked_at(key("abcdefgh", -10, 81))], NOW, width, colour=False).splitlines()
    (axis,) = [line for line in lines if "2030 " in line and "Z" not in line]
    (drawn,) = [line for line in lines if line.startswith("  abcdefgh") and "|" in line]
    assert axis.split() == expected.split()
    assert axis.index("Jan 2030") == drawn.index("|")
    assert (width < 80) or axis.strip() == expected


def test_status_draws_disabled_keys() -> None:
    """A disabled key is drawn at its time, with its own glyph."""
    text = status([looked_at(key("a", -10, 81), key("off", 30, 100, enabled=False))], NOW, 80, colour=False)
    (drawn,) = [line for line in text.splitlines() if line.startswith("  off") and "|" in line]
    assert "xxxx" in drawn


def test_status_counts_troubles() -> None:
    """The last line counts each keyset once, the most urgent first."""
    text = status(OUTCOMES, NOW, 500, colour=False)
    assert text.splitlines()[-1] == "9 keysets: 4 urgent, 1 failed, 3 due, 1 fine"


def test_status_ends_with_what_is_in_trouble() -> None:
    """Above the prompt stands what is in trouble, the most urgent first, with what is left and what to do."""
    text = status(OUTCOMES, NOW, 2000, colour=False)
    lines = text.partition("In trouble:\n")[2].splitlines()[:6]
    names = ("B2C_1A_Empty", "B2C_1A_Nothing", "B2C_1A_Expired", LONG, "B2C_1A_X", "B2C_1A_Failed")
    assert [line.partition(" (")[0] for line in lines] == [f"contoso/{name}" for name in names]
    assert lines[0].startswith("contoso/B2C_1A_Empty (it has no keys): no valid key: nobody can sign in")
    assert " (the last one expired 9d ago): " in lines[2]
    assert " (4h48m left): cover is ending: " in lines[3]
    assert "mode observe: rotator does not generate keys" in lines[3]


def test_status_of_a_late_rotation() -> None:
    """Late is what is past publish_by, which comes before the new key takes over."""
    text = status([looked_at(key("a", -89, 2))], NOW, 80, colour=False)
    assert "  publish by     2029-12-31T00:00:00Z  1d ago\n" in text
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
