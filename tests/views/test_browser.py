import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from end_to_end.harness import Bench, Tenant, due, fresh, lapsed
from PIL import Image
from programs import need
from views.browser import browse, scheme, serving
from views.cases import NOW, PROCESS, many

from rotator.views.page import page
from rotator.views.style import STYLE

Colour = tuple[int, int, int]


@pytest.fixture
def address(bench: Bench) -> Iterator[str]:
    """Where a daemon serves its page, with a keyset that is due, one that is fine, and one in trouble."""
    need("chromium")
    keysets = (due("B2C_1A_Due"), fresh("B2C_1A_Fine"), lapsed("B2C_1A_Lapsed"))
    bench.begin(Tenant(keysets=keysets), check_interval="1h", settle="10m")
    daemon = bench.start()
    daemon.log("sweep.finished")
    yield f"http://127.0.0.1:{daemon.port}/"
    assert daemon.stop().code == 0


def test_browser_shows_the_page(address: str, tmp_path: Path) -> None:
    """A real browser, under the page's own security policy, shows states in words and a drawing for each keyset."""
    shown = browse(tmp_path / "profile", "--dump-dom", address)
    assert "3 keysets: 1 critical, 1 due, 1 fine" in shown
    assert [word for word in ("no valid key", "due", "fine", "renewal window") if word not in shown] == []
    assert shown.count('<svg role="img"') == 3


@pytest.fixture(scope="module")
def site() -> Iterator[Callable[..., str]]:
    need("chromium")
    with serving() as serve:
        yield serve


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [500, 1400], ids=["phone", "desktop"])
def test_browser_paints_the_page(site: Callable[..., str], tmp_path: Path, width: int, *, dark: bool) -> None:
    """
    The style is let in, and nothing is wider than the window.

    The paper is as light or dark as the reader wishes it; its outermost columns stay empty, since
    what does not fit would be cut off there; and the colours and hatchings of keys, windows and
    gaps are there, each of them far from the paper.
    """
    shot = tmp_path / "page.png"
    size = f"--window-size={width},2600"
    few = {name: each for name, each in many(60).items() if name[1] in ("B2C_1A_Keyset1", "B2C_1A_Keyset5")}
    text = page(few, NOW, PROCESS)
    browse(tmp_path / "profile", size, f"--screenshot={shot}", *scheme(dark=dark), site(text))
    with Image.open(shot) as picture:
        painted = picture.convert("RGB")
    assert painted.width == width
    colours = dict(found[::-1] for found in _colours(painted))
    paper = max(colours, key=lambda colour: colours[colour])
    assert sum(paper) < 150 if dark else sum(paper) > 700
    for edge in (0, width - 8):
        assert [colour for _, colour in _colours(painted.crop((edge, 0, edge + 8, 2600)))] == [paper]
    for name in ("active", "plan", "window", "lead", "overlap", "line", "gap"):
        assert colours.get(_colour(name, dark=dark), 0) > 20, name
    for name in ("active", "plan", "window", "lead", "overlap", "gap"):
        assert _contrast(_colour(name, dark=dark), paper) >= 3, name


def _colours(picture: Image.Image) -> list[tuple[int, Colour]]:
    return cast("list[tuple[int, Colour]]", picture.getcolors(1 << 24))


def _colour(name: str, *, dark: bool) -> Colour:
    """The colour that the style gives that name."""
    values = re.findall(rf"--{name}:#(\w+)", STYLE)[dark]
    red, green, blue = re.findall(r"\w\w" if len(values) == 6 else r"\w", values)
    return tuple(int(each * (2 // len(each)), 16) for each in (red, green, blue))  # type: ignore[return-value]


def _contrast(first: Colour, second: Colour) -> float:
    """How far two colours are from each other (WCAG 2.2, "contrast ratio"): 3 is enough for everything but text."""
    darker, lighter = sorted(_luminance(colour) + 0.05 for colour in (first, second))
    return lighter / darker


def _luminance(colour: Colour) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
