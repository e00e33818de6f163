import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from views.cases import NOW, entry, failed, key, looked_at, policy

from rotator.board import Entry, Name
from rotator.views.page import POLICY, About, page

ABOUT = About(version="1.2.3", notices=(), refresh=60)
HOSTILE = "<script>alert(1)</script>\x1b[31m\n\"'&"


def one(found: Entry) -> dict[Name, Entry]:
    return {("contoso", found.policy.keyset_id): found}


class Reader(HTMLParser):
    """Notes what a browser would do with a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(entry(looked_at(key("a", -10, 81))), ("fine", "1 keyset, none in trouble"), id="fine"),
        pytest.param(entry(looked_at(key("a", -80, 11))), ("due", "to be generated"), id="due"),
        pytest.param(entry(looked_at()), ("no valid key", "1 of 1 keyset in trouble"), id="empty"),
        pytest.param(entry(looked_at(key("a", -90.5, 0.5))), ("overdue", "was to take over"), id="overdue"),
        pytest.param(entry(failed("grant it this")), ("failed", "grant it this", "request-id r-1"), id="failed"),
        pytest.param(Entry(policy=policy()), ("not seen yet",), id="not seen yet"),
        pytest.param(
            entry(looked_at(key("a", -10, 81), key("b", 70, 200, enabled=False))), ("is disabled",), id="disabled"
        ),
    ],
)
def test_page_says_in_words_how_a_keyset_is(found: Entry, words: tuple[str, ...]) -> None:
    """The state stands there in words, never in colour alone, with what is wrong and what to do."""
    text = page(one(found), NOW, ABOUT)
    assert [word for word in words if word not in text] == []


def test_page_is_well_formed_and_needs_nothing_from_elsewhere() -> None:
    """Each element is closed; there is no script, no inline style, no handler, and nothing to fetch."""
    reader = Reader(page(one(entry(looked_at(key("a", -80, 11), key("b", None, None)))), NOW, ABOUT))
    assert reader.open == []
    names = {tag for tag, _ in reader.tags}
    assert names & {"script", "img", "link", "iframe", "object", "form", "input"} == set()
    attributes = {name for _, given in reader.tags for name in given}
    assert {name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")} == set()
    assert {given["href"] for tag, given in reader.tags if tag == "a"} <= {"/status.json", "/metrics"}


def test_page_escapes_what_comes_from_outside() -> None:
    """A kid or a message cannot become markup, nor leave control characters."""
    hostile = looked_at(key(HOSTILE, -80, 11), key(HOSTILE, 30, 60, enabled=False))
    text = page(one(entry(hostile)) | {("contoso", "B2C_1A_Y"): entry(failed(HOSTILE))}, NOW, ABOUT)
    assert "<script" not in text
    assert "\x1b" not in text
    assert Reader(text).open == []


def test_policy_allows_the_style_of_the_page_and_nothing_else() -> None:
    """The hash in the Content-Security-Policy is that of the style on the page."""
    (style,) = re.findall(r"<style>(.*?)</style>", page({}, NOW, ABOUT), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in POLICY


def test_page_draws_each_key_and_what_is_planned() -> None:
    """The timeline has a bar for each key, the plan for a year ahead, the windows, and a line for now."""
    text = page(one(entry(looked_at(key("a", -10, 81)))), NOW, ABOUT)
    (drawing,) = re.findall(r'<svg role="img".*?</svg>', text, re.DOTALL)
    assert drawing.count('class="active"') == 1
    assert drawing.count(">planned</text>") == 4
    assert {kind for kind in ("window", "lead", "overlap", "now") if f'class="{kind}"' not in drawing} == set()
    places = [float(place) for place in re.findall(r'(?:x|width)="([\d.]+)%"', drawing)]
    assert all(0 <= place <= 100 for place in places)


def test_page_puts_notices_before_all_else() -> None:
    """What somebody must know of the program itself stands above the keysets."""
    text = page(one(entry(looked_at())), NOW, About(version="1", notices=("Dry run <&>",), refresh=5))
    assert text.index("Dry run &lt;&amp;&gt;") < text.index("<main>")
