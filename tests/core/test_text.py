from datetime import UTC, datetime, timedelta

import pytest
from core.builders import DAY, HOUR, SECOND
from core.strategies import spans
from hypothesis import given

from rotator.core.text import format_instant, format_span, parse_span, printable

ADVICE = "write numbers with units and no spaces, such as 45s, 36h, 1h30m"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("45s", 45 * SECOND),
        ("30m", 30 * 60 * SECOND),
        ("36h", 36 * HOUR),
        ("90d", 90 * DAY),
        ("2w", 14 * DAY),
        ("1h30m", 90 * 60 * SECOND),
        ("1w1d1h1m1s", 8 * DAY + HOUR + 61 * SECOND),
        ("0s", timedelta()),
        ("007d", 7 * DAY),
        ("36500d", 36_500 * DAY),
    ],
)
def test_parse_span_numbers_and_units(text: str, span: timedelta) -> None:
    """A span is a number and a unit, and more of them from the largest to the smallest."""
    assert span == parse_span(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "90",
        "d",
        "90 d",
        " 90d",
        "90d ",
        "-1d",
        "1.5h",
        "1D",
        "30m1h",
        "1h1h",
        "P3M",
        "PT1H",
        "90d\n",
        "\u0663d",
        "1y",
    ],
)
def test_parse_span_refused(text: str) -> None:
    """Anything else is refused, with what to write."""
    with pytest.raises(ValueError, match=r"is not a duration") as caught:
        parse_span(text)
    assert f"is not a duration; {ADVICE}" == str(caught.value)


@pytest.mark.parametrize("text", ["36500d1s", "99999999999999999999w"])
def test_parse_span_too_long(text: str) -> None:
    """A hundred years are the longest span."""
    with pytest.raises(ValueError, match=r"^is longer than a hundred years$"):
        parse_span(text)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(), "0s"),
        (SECOND, "1s"),
        (14 * DAY, "14d"),
        (90 * 60 * SECOND, "1h30m"),
        (8 * DAY + HOUR + 61 * SECOND, "8d1h1m1s"),
        (-25 * HOUR, "-1d1h"),
        (1.4 * SECOND, "1s"),
        (-0.4 * SECOND, "0s"),
    ],
)
def test_format_span(span: timedelta, text: str) -> None:
    """A span is written in whole seconds, without weeks, and with a minus if it is negative."""
    assert text == format_span(span)


@given(spans())
def test_parse_span_reads_what_format_span_writes(span: timedelta) -> None:
    """What is written is read back as the same span."""
    assert span == parse_span(format_span(span))


def test_format_instant() -> None:
    """An instant is written as RFC 3339 has it, in whole seconds."""
    assert format_instant(datetime(2030, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)) == "2030-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain, with ümlaut", "plain, with ümlaut", id="printable"),
        pytest.param("\x1b[31mred", "\\x1b[31mred", id="an escape sequence"),
        pytest.param("a\nb\tc\rd", "a\\nb\\tc\\rd", id="lines and tabs"),
        pytest.param("\u202eevil", "\\u202eevil", id="right to left"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """Nothing of a foreign text makes a terminal do anything."""
    assert shown == printable(text)
