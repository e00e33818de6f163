import base64
import hashlib
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError
from views.cases import DAY, HOUR, NOW, PROCESS, entry, failed, hourly, key, looked_at, many, monthly, policy, refused

import rotator.views
from rotator.core.policy import Mode
from rotator.core.status import KeysetStatus, Name
from rotator.core.text import printable
from rotator.views.page import ProcessStatus, environment, faults, page
from rotator.views.style import POLICY

VIEWS = Path(rotator.views.__file__).parent


def one(found: KeysetStatus) -> dict[Name, KeysetStatus]:
    return {("contoso", found.policy.keyset_id): found}


class Reader(HTMLParser):
    """Notes what a browser would do with a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += data

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
        pytest.param(
            entry(looked_at(key("a", -90.5, 0.5))), ("overdue", "publish by</dt><dd>2d12h ago (<time>"), id="overdue"
        ),
        pytest.param(entry(failed("grant it this")), ("failed", "Grant it this", "request-id r-1"), id="failed"),
        pytest.param(KeysetStatus(policy=policy()), ("<h1>1 keyset, not seen yet</h1>",), id="not seen yet"),
        pytest.param(
            entry(refused(looked_at(key("a", -100, -9)), "grant it this")),
            (
                "</svg>",
                "<strong>no valid key, failed</strong> (the last one expired 9d ago)",
                "Nobody can sign in",
                "Grant it this. Runbook: B2CRotationFailing",
                "covered until</dt><dd>no valid key, the last one expired 9d ago<",
            ),
            id="no valid key, and refused",
        ),
        pytest.param(
            entry(looked_at(key("a", None, None), of=policy(mode=Mode.OBSERVE))),
            ("observed", "covered until</dt><dd>no end: the active key has no expiry<"),
            id="undated",
        ),
        pytest.param(entry(looked_at(key("a", -80, 11))), ("publish by</dt><dd>in 8d (<time>",), id="when"),
        pytest.param(
            entry(looked_at(key("a", -10, 81), key("b", 70, 200, enabled=False))), ("is disabled",), id="disabled"
        ),
    ],
)
def test_page_says_in_words_how_a_keyset_is(found: KeysetStatus, words: tuple[str, ...]) -> None:
    """The state stands there in words, never in colour alone, with what is wrong and what to do."""
    text = page(one(found), NOW, PROCESS)
    assert [word for word in words if word not in text] == []


def test_page_is_well_formed_and_needs_nothing_from_elsewhere() -> None:
    """Each element is closed; there is no script, no inline style, no handler, and nothing to fetch."""
    reader = Reader(page(one(entry(looked_at(key("a", -80, 11), key("b", None, None)))), NOW, PROCESS))
    assert reader.open == []
    names = {tag for tag, _ in reader.tags}
    assert names & {"script", "img", "link", "iframe", "object", "form", "input"} == set()
    attributes = {name for _, given in reader.tags for name in given}
    assert {name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")} == set()
    assert {given["href"] for tag, given in reader.tags if tag == "a"} <= {"/status.json", "/metrics"}


HOSTILE_TEXTS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"'><img src=x onerror=alert(1)>",
    "event": '" onmouseover="alert(1)',
    "template": "{{ 7*7 }}{% raw %}{# x #}",
    "address": "javascript:alert(1)",
    "entity": "&lt;script&gt;&#60;",
    "comment": "--></style></title></svg><!--",
    "control": "\x1b[31mred\nline\u202e",
}


def everywhere(text: str) -> tuple[dict[Name, KeysetStatus], ProcessStatus]:
    """Keysets and a process in which every text from outside is *text*."""
    named = policy(f"{text}-keyset")
    keysets = {
        (f"{text}-tenant", f"{text}-1"): looked_at(key(f"{text}kid", -80, 11), key(text, 30, 60, enabled=False)),
        (f"{text}-tenant", f"{text}-2"): failed(f"message {text}", named),
        (f"{text}-tenant", f"{text}-3"): refused(looked_at(key(f"{text}old", -100, -9)), f"refusal {text}"),
        **{(f"{text}-many", f"{text}-{n}"): failed(f"locked {text}", named) for n in range(4)},
    }
    process = replace(PROCESS, version=f"{text}-version", election=f"{text}-election", leader=f"{text}-leader")
    return {name: entry(outcome) for name, outcome in keysets.items()}, process


def shape(reader: Reader) -> list[tuple[str, list[str]]]:
    return [(tag, list(attributes)) for tag, attributes in reader.tags]


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
@pytest.mark.parametrize("is_idle", [False, True], ids=["leads", "stands by"])
def test_page_escapes_every_text_from_outside(text: str, *, is_idle: bool) -> None:
    """
    Kids, ids, tenants, messages and identities stay text, in elements, attributes and drawings.

    The elements and the names of their attributes are those of a page with harmless texts,
    and each text is there as it is.
    """
    entries, process = everywhere(text)
    reader = Reader(page(entries, NOW, replace(process, is_idle=is_idle)))
    harmless, process_ = everywhere("harmless")
    assert shape(reader) == shape(Reader(page(harmless, NOW, replace(process_, is_idle=is_idle))))
    assert reader.open == []
    shown = printable(text)
    after = ("-tenant", "-1", "kid: active", "-many", "-version", "-leader" if is_idle else "-election")
    texts = [*(f"{shown}{place}" for place in after), *(f"{place} {shown}" for place in ("essage", "efusal", "ocked"))]
    assert [each for each in texts if each not in reader.text] == []
    assert f"Keys of {shown}-tenant/{shown}-1 against time" in [given.get("aria-label") for _, given in reader.tags]
    addresses = [str(given["href"]) for tag, given in reader.tags if tag == "a"]
    assert {each for each in addresses if not each.startswith("#")} == {"/status.json", "/metrics"}


def test_templates_mark_nothing_as_safe_but_the_style() -> None:
    """A template has no way around escaping, except for the style, which is a constant."""
    templates = {path.name: path.read_text(encoding="utf-8") for path in (VIEWS / "templates").iterdir()}
    assert list(templates) == ["page.html"]
    assert re.findall(r"[^{]*\|\s*safe|autoescape", templates["page.html"]) == [" style|safe"]


def test_environment_escapes_and_refuses_what_is_undefined() -> None:
    """A name that a template misspells is an error, and not an empty text."""
    assert environment().from_string("{{ a }}").render(a="<\x1b>") == "&lt;\\x1b&gt;"
    with pytest.raises(UndefinedError):
        environment().from_string("{{ b }}").render(a="")


def test_templates_are_loaded_for_the_first_page() -> None:
    """A daemon whose page nobody requests does not load Jinja2."""
    script = "import sys, rotator.commands.serve; print('rotator.views.page' in sys.modules, 'jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True False\n"


def test_package_data_has_every_file_that_is_not_python() -> None:
    """What is installed from a wheel has its templates: each file of the package is listed as its data."""
    package = VIEWS.parent
    content = tomllib.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = content["tool"]["setuptools"]["package-data"]["*"]
    packages = [path.parent for path in package.rglob("__init__.py")]
    listed = {path for folder in packages for pattern in patterns for path in folder.glob(pattern)}
    others = {
        path
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert others - listed == set()
    assert VIEWS / "templates" / "page.html" in listed


def test_policy_allows_the_style_of_the_page_and_nothing_else() -> None:
    """The hash in the Content-Security-Policy is that of the style on the page."""
    (style,) = re.findall(r"<style>(.*?)</style>", page({}, NOW, PROCESS), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in POLICY


def test_page_draws_each_key_and_what_is_planned() -> None:
    """The timeline has a bar for each key, the plan for a year ahead, the windows, and a line for now."""
    text = page(one(entry(looked_at(key("a", -10, 81)))), NOW, PROCESS)
    (drawing,) = re.findall(r'<svg role="img".*?</svg>', text, re.DOTALL)
    assert drawing.count('class="active"') == 1
    assert drawing.count('class="plan"') == 4
    assert drawing.count(">planned</text>") == 2
    assert {kind for kind in ("window", "lead", "overlap", "now") if f'class="{kind}"' not in drawing} == set()
    places = [float(place) for place in re.findall(r'(?:x|width)="([\d.]+)%"', drawing)]
    assert all(0 <= place <= 100 for place in places)


def test_page_puts_what_is_wrong_with_the_program_before_all_else() -> None:
    """What somebody must know of the program itself stands above the keysets."""
    name = "ROTATOR_LEADER_ELECTION__ENABLED"
    process = replace(PROCESS, dry_run=True, silence=3 * HOUR, election="leads as <a>", election_variables=(name,))
    text = page(one(entry(looked_at(key("a", -10, 81)))), NOW, process)
    assert "<h1>rotator itself is in trouble; as last seen: 1 keyset, none in trouble</h1>" in text
    for told in (
        "No heartbeat from the scheduler for 3h",
        "Dry run",
        "leads as &lt;a&gt;",
        f"{name} is set on this pod",
    ):
        assert text.index(told) < text.index("<main>")


@pytest.mark.parametrize(
    ("process", "told"),
    [
        pytest.param(PROCESS, "the last sweep finished 30m ago (<time>2029-12-31T23:30:00Z</time>)", id="it has swept"),
        pytest.param(replace(PROCESS, swept=None), "no sweep has finished yet", id="it has not"),
        pytest.param(replace(PROCESS, is_idle=True), "a standby replica does not sweep", id="it does not"),
    ],
)
def test_page_says_how_old_it_is(process: ProcessStatus, told: str) -> None:
    """When the last sweep ended stands at the top: the time of the page says nothing of the looks."""
    text = page({}, NOW, process)
    assert text.index(told) < text.index("<main>")


@pytest.mark.parametrize(
    ("leader", "title"),
    [
        pytest.param("pod-b", "Standby; leader: pod-b", id="another leads"),
        pytest.param(None, "Standby; leader: none", id="nobody leads"),
    ],
)
def test_page_of_a_follower(leader: str | None, title: str) -> None:
    """Who looks at nothing does not say that nothing is in trouble."""
    text = page({}, NOW, replace(PROCESS, is_idle=True, leader=leader))
    assert f"<h1>{title}</h1>" in text
    assert "in trouble" not in text


@pytest.mark.parametrize(
    ("entries", "title"),
    [
        pytest.param(
            [KeysetStatus(policy=policy(f"B2C_1A_{n}")) for n in "ab"], "2 keysets, 2 not seen yet", id="unseen"
        ),
        pytest.param(
            [KeysetStatus(policy=policy("B2C_1A_a")), entry(looked_at(key("a", -10, 81)))],
            "2 keysets, 1 not seen yet",
            id="one unseen",
        ),
        pytest.param(
            [KeysetStatus(policy=policy("B2C_1A_a")), entry(looked_at())],
            "1 of 2 keysets in trouble, 1 not seen yet",
            id="one unseen, one bad",
        ),
    ],
)
def test_heading_counts_what_was_not_seen(entries: list[KeysetStatus], title: str) -> None:
    """What nobody has looked at yet is not counted among what is well."""
    found = {name: each for item in entries for name, each in one(item).items()}
    assert f"<h1>{title}</h1>" in page(found, NOW, PROCESS)


def test_trouble_of_many_is_told_once() -> None:
    """Keysets of one tenant that have the same trouble are one entry, with their number and a link to each."""
    text = page({("locked", f"k{n}"): entry(failed("wrong secret", policy(f"k{n}"))) for n in range(75)}, NOW, PROCESS)
    (nav,) = re.findall(r"<nav.*?</nav>", text, re.DOTALL)
    assert nav.count("Wrong secret") == 1
    assert "<summary>75 keysets of locked</summary>" in nav
    assert nav.count("<a href=") == 75


def test_anchors_are_of_one_keyset_each() -> None:
    """No two names share an anchor, and each link has one that it leads to."""
    names = [("a b", "x"), ("a_b", "x"), ("a", "b/x"), ("a/b", "x"), ("a%20b", "x")]
    reader = Reader(page({name: entry(looked_at()) for name in names}, NOW, PROCESS))
    anchors = [given["id"] for tag, given in reader.tags if tag == "article"]
    links = [given["href"] for tag, given in reader.tags if tag == "a" and str(given["href"]).startswith("#")]
    assert len(set(anchors)) == len(names)
    assert {f"#{anchor}" for anchor in anchors} == set(links)


@pytest.mark.parametrize(
    ("found", "planned"),
    [
        pytest.param(entry(looked_at(key("a", -5, 26), of=monthly("B2C_1A_X"))), 12, id="a month"),
        pytest.param(entry(looked_at(key("a", -0.01, 0.04), of=hourly("B2C_1A_X"))), 24, id="an hour"),
    ],
)
def test_page_draws_a_year_or_so_many_rotations(found: KeysetStatus, planned: int) -> None:
    """A keyset of months is planned for a year; one of hours for as many rotations as there is room for."""
    (drawing,) = re.findall(r'<svg role="img".*?</svg>', page(one(found), NOW, PROCESS), re.DOTALL)
    assert drawing.count('class="plan"') == planned
    assert drawing.count(">planned</text>") == 2


def test_key_that_is_never_valid_is_named_and_has_no_bar() -> None:
    """A key that ends before it begins is not hidden, and takes no place in time."""
    text = page(one(entry(looked_at(key("a", -10, 81), key("odd", 20, 10)))), NOW, PROCESS)
    assert ">odd</text>" in text
    assert "odd: " not in text


def test_labels_end_before_the_edge() -> None:
    """What is written begins where there is room for it, or ends at what it names."""
    text = page(many(28), NOW, PROCESS)
    labels = re.findall(r'<text[^>]*?x="([\d.]+)%"([^>]*)>([^<]*)</text>', text)
    assert len(labels) > 100
    for place, more, label in labels:
        room = float(place) if 'text-anchor="end"' in more else 100 - float(place)
        assert room >= 14, (label, place)


def test_no_instant_wraps() -> None:
    """Every instant that is read is one that the page keeps on one line."""
    text = page(many(28), NOW, PROCESS)
    prose = re.sub(r"<title>.*?</title>|<time>.*?</time>", "", text, flags=re.DOTALL)
    assert re.findall(r"\d{4}-\d\d-\d\dT", prose) == []
    assert "time{white-space:nowrap}" in text


def test_legend_comes_before_what_it_explains() -> None:
    """Whoever reads from the top knows what the shades mean when the first drawing comes."""
    text = page(one(entry(looked_at(key("a", -10, 81)))), NOW, PROCESS)
    assert text.index("renewal window") < text.index("<main>")
    for kind in ("window", "lead", "overlap"):
        assert f'<pattern id="hatch-{kind}"' in text
        assert f".{kind}{{fill:url(#hatch-{kind})" in text


def test_page_judges_when_it_is_read() -> None:
    """A key that has ended since the last look is no valid key, whatever the look said."""
    found = one(entry(looked_at(key("a", -90, 0.01))))
    assert "no valid key" not in page(found, NOW, PROCESS)
    assert "<strong>no valid key</strong> (the last one expired 22s ago)" in page(
        found, NOW + DAY / 100 + 22 * HOUR / 3600, PROCESS
    )


@pytest.mark.parametrize(
    ("process", "words"),
    [
        pytest.param({"swept": NOW - PROCESS.stale}, [], id="swept"),
        pytest.param({"swept": NOW - 3 * HOUR}, ["No sweep has finished for 3h"], id="swept long ago"),
        pytest.param({}, [], id="begun"),
        pytest.param({"began": NOW - DAY}, ["No sweep has finished for 1d"], id="begun long ago"),
        pytest.param({"began": NOW - DAY, "is_idle": True, "leader": "pod-b"}, [], id="another leads"),
        pytest.param({"began": NOW - DAY, "is_idle": True}, ["There is no leader"], id="nobody leads"),
        pytest.param({"silence": HOUR}, ["No heartbeat from the scheduler for 1h"], id="dead"),
    ],
)
def test_faults_of_the_process(process: dict[str, Any], words: list[str]) -> None:
    """A process that cannot see says so, and not that all is well."""
    found = list(faults(replace(PROCESS, **{"began": NOW - HOUR, "swept": None, **process}), NOW))
    assert [word for word, fault in zip(words, found, strict=True) if word not in fault] == []
