import html
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import cast

import pytest
from end_to_end.harness import Bench, Tenant, due, fresh, lapsed
from PIL import Image
from programs import need
from views.cases import NOW, PROCESS, many
from views.surfaces import SURFACES

from rotator.edges.web import Page, Request, Server
from rotator.views.page import page
from rotator.views.style import POLICY, STYLE

Colour = tuple[int, int, int]

MAX_HEIGHT = 7500  # pixels of any page on a desktop, before anything is unfolded

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
        timeout=200,
        check=True,
    )
    return done.stdout


def test_browser_shows_the_page(address: str, tmp_path: Path) -> None:
    """A real browser, under the page's own security policy, shows states in words and a drawing for each keyset."""
    shown = browse(tmp_path / "profile", "--dump-dom", address)
    assert "3 keysets: 1 critical, 1 due, 1 fine" in shown
    assert [word for word in ("no valid key", "due", "fine", "renewal window") if word not in shown] == []
    assert shown.count('<svg role="img"') == 3


@pytest.fixture(scope="module")
def site() -> Iterator[Callable[..., str]]:
    """Serves pages under a security policy, by default their own: the address of the one with a given text."""
    need("chromium")
    pages: dict[str, Callable[[Request], Page]] = {}
    server = Server("127.0.0.1", 0, pages, on_bug=lambda error: pytest.fail(str(error)))
    server.start()

    def serve(text: str, security: str = POLICY) -> str:
        path = f"/{len(pages)}"
        pages[path] = lambda _: Page(text.encode(), "text/html; charset=utf-8", security=security)
        return f"http://127.0.0.1:{server.port}{path}"

    yield serve
    server.stop()


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
    browse(tmp_path / "profile", size, f"--screenshot={shot}", *_scheme(dark=dark), site(text))
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


def _scheme(*, dark: bool) -> tuple[str, ...]:
    return ("--blink-settings=preferredColorScheme=0",) if dark else ()


HARNESS = """
<!DOCTYPE html><html><body style="margin:0"><pre id="result"></pre>
<iframe style="border:0;width:390px;height:4000px" src="%(address)s"></iframe>
<iframe style="border:0;width:1400px;height:4000px" src="%(address)s"></iframe>
<script>
function broken(page) {
  const found = [], texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    if (text.parentNode.closest("svg, option")) continue;
    for (const match of text.data.matchAll(/[^\\s\\-\\/?]+/g)) {
      const word = page.createRange();
      word.setStart(text, match.index);
      word.setEnd(text, match.index + match[0].length);
      const lines = new Set([...word.getClientRects()].map(line => Math.round(line.top)));
      if (lines.size > 1 && match[0].length < %(longest)d) found.push(match[0]);
    }
  }
  return found;
}
async function judge(frame) {
  const view = frame.contentWindow, page = view.document;
  const height = page.documentElement.getBoundingClientRect().height;
  page.querySelectorAll("details").forEach(each => each.open = true);
  [...page.querySelectorAll("article")].slice(%(articles)d).forEach(each => each.remove());
  const run = await view.axe.run(page, {resultTypes: ["violations"]});
  const violations = run.violations.map(each => [each.id, each.nodes.slice(0, 3).map(node => node.html)]);
  const overflow = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  return {passes: run.passes.length, violations, height, overflow, broken: broken(page)};
}
window.onload = async () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) found.push(await judge(frame));
  document.getElementById("result").textContent = JSON.stringify(found);
};
</script></body></html>
"""
"""Shows a page in frames, one as narrow as a phone, which no window can be; says what is wrong with it."""
ARTICLES = 8  # that axe-core judges; the others are of the same kinds, and it takes a second for each
LONGEST = 40  # characters of a word that must have room on a phone


@pytest.mark.timeout(240)  # two pages with all that axe-core looks at, where a machine has other things to do
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("surface", SURFACES)
def test_browser_finds_no_fault_with_the_page(
    site: Callable[..., str], tmp_path: Path, surface: str, *, dark: bool
) -> None:
    """
    At 390 and at 1400 pixels axe-core finds no violation, nothing is wider than the window, and no word is broken.

    That holds with everything unfolded; folded, the page is not high.
    """
    axe = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    open_to_scripts = "default-src 'unsafe-inline' 'self' data:"
    framed = site(SURFACES[surface]().replace("</body>", f"<script>{axe}</script></body>"), open_to_scripts)
    outer = site(HARNESS % {"address": framed, "longest": LONGEST, "articles": ARTICLES}, open_to_scripts)
    options = ("--window-size=1400,4000", "--virtual-time-budget=60000", "--dump-dom", *_scheme(dark=dark))
    shown = browse(tmp_path / "profile", *options, outer)
    (text,) = re.findall(r'<pre id="result">(.*?)</pre>', shown, re.DOTALL)
    phone, desktop = json.loads(html.unescape(text))
    for found in (phone, desktop):
        assert found["passes"] > 10
        assert found["violations"] == []
        assert found["overflow"] <= 0
        assert found["broken"] == []
    assert desktop["height"] < MAX_HEIGHT


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
