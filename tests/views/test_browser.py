import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from PIL import Image
from programs import need
from whole.bench import Bench, Tenant, due, fresh, lapsed

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


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


def browse(profile: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["chromium", *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_browser_shows_the_page(address: str, tmp_path: Path) -> None:
    """A real browser, under the page's own security policy, shows states in words and a drawing for each keyset."""
    shown = browse(tmp_path / "profile", "--dump-dom", address)
    assert "1 of 3 keysets in trouble" in shown
    assert [word for word in ("no valid key", "due", "fine", "renewal window") if word not in shown] == []
    assert shown.count('<svg role="img"') == 3


def test_browser_paints_the_page_in_colour(address: str, tmp_path: Path) -> None:
    """The style is let in: the page's colours are there, on paper as light or dark as the reader wishes it."""
    found = {}
    for size, dark in (("500,900", False), ("1200,900", True)):
        shot = tmp_path / f"{size}.png"
        scheme = ("--blink-settings=preferredColorScheme=0",) if dark else ()
        browse(tmp_path / size, f"--window-size={size}", f"--screenshot={shot}", *scheme, address)
        with Image.open(shot) as picture:
            colours = cast("list[tuple[int, tuple[int, int, int]]]", picture.convert("RGB").getcolors(1 << 24))
            found[size] = (picture.size, max(colours)[1], {colour for _, colour in colours})
    (phone, light, phone_colours), (desktop, dark_paper, desktop_colours) = found.values()
    assert (phone[0], desktop[0]) == (500, 1200)
    assert sum(light) > 700
    assert sum(dark_paper) < 150
    assert (0x2F, 0x6F, 0xB2) in phone_colours
    assert (0x58, 0xA6, 0xFF) in desktop_colours
