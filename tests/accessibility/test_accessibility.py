"""axe-core finds no violation in any page, in both colour schemes."""

import html
import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest
from programs import need
from views.browser import browse, scheme, serving
from views.surfaces import SURFACES

MAX_HEIGHT = 7500  # pixels of any page on a desktop, before anything is unfolded

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


@pytest.fixture(scope="module")
def site() -> Iterator[Callable[..., str]]:
    need("chromium")
    with serving() as serve:
        yield serve


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
    options = ("--window-size=1400,4000", "--virtual-time-budget=60000", "--dump-dom", *scheme(dark=dark))
    shown = browse(tmp_path / "profile", *options, outer)
    (text,) = re.findall(r'<pre id="result">(.*?)</pre>', shown, re.DOTALL)
    phone, desktop = json.loads(html.unescape(text))
    for found in (phone, desktop):
        assert found["passes"] > 10
        assert found["violations"] == []
        assert found["overflow"] <= 0
        assert found["broken"] == []
    assert desktop["height"] < MAX_HEIGHT
