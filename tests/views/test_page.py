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
from rotator.core.drift import Change, ChangeKind
from rotator.core.outcome import Held, Outcome
from rotator.core.policy import Mode
from rotator.core.reasons import Refusal
from rotator.core.shard import Shard
from rotator.core.status import KeysetStatus, Name
from rotator.core.text import printable
from rotator.views.condition import Level
from rotator.views.page import MAX_OPEN, environment, page
from rotator.views.process import ProcessStatus
from rotator.views.selection import PAGE, Query
from rotator.views.style import ICONS, POLICY

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
        if tag not in ("meta", "br", "wbr", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(entry(looked_at(key("a", -10, 81))), ("fine", "<title>1 keyset: none in trouble<"), id="fine"),
        pytest.param(entry(looked_at(key("a", -80, 11))), ("due", "to be generated"), id="due"),
        pytest.param(entry(looked_at()), ("no valid key", "1 keyset: 1 critical"), id="empty"),
        pytest.param(
            entry(looked_at(key("a", -90.5, 0.5))), ("overdue", "publish by</dt><dd>2d12h ago (<time>"), id="overdue"
        ),
        pytest.param(
            entry(failed("grant it this")), ("failed", "Grant it this", "request id</dt><dd>r-1<"), id="failed"
        ),
        pytest.param(KeysetStatus(policy=policy()), ("<h1>1 keyset: 1 not seen yet</h1>",), id="not seen yet"),
        pytest.param(
            entry(refused(looked_at(key("a", -100, -9)), "grant it this")),
            (
                "</svg>",
                "no valid key</span>",
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
    assert names & {"script", "img", "iframe", "object", "base", "embed"} == set()
    assert [str(given["href"])[:19] for tag, given in reader.tags if tag == "link"] == ["data:image/svg+xml,"]
    attributes = {name for _, given in reader.tags for name in given}
    assert {name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")} == set()
    addresses = {str(given["href"]) for tag, given in reader.tags if tag == "a"}
    assert {address for address in addresses if address[0] not in "#?"} == {"/status.json", "/metrics"}


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
    return [(tag, list(attributes)) for tag, attributes in reader.tags if tag != "wbr"]


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
    texts = [*(f"{shown}{place}" for place in after), *(f"{place} {shown}" for place in ("essage", "efusal"))]
    assert [each for each in texts if each not in reader.text] == []
    assert f"Keys of {shown}-tenant/{shown}-1 against time" in [given.get("aria-label") for _, given in reader.tags]
    addresses = [str(given["href"]) for tag, given in reader.tags if tag == "a"]
    assert {each for each in addresses if each[0] not in "#?"} == {"/status.json", "/metrics"}


def test_templates_mark_nothing_as_safe_but_the_style() -> None:
    """A template has no way around escaping, except for the style, which is a constant."""
    templates = {path.name: path.read_text(encoding="utf-8") for path in (VIEWS / "templates").iterdir()}
    assert sorted(templates) == ["keyset.html", "page.html"]
    assert re.findall(r"[^{]*\|\s*safe|autoescape", "".join(templates.values())) == [" style|safe"]


def test_environment_escapes_and_refuses_what_is_undefined() -> None:
    """A name that a template misspells is an error, and not an empty text."""
    assert environment().from_string("{{ a }}").render(a="<\x1b>") == "&lt;\\x1b&gt;"
    with pytest.raises(UndefinedError):
        environment().from_string("{{ b }}").render(a="")


def test_templates_are_loaded_for_the_first_page() -> None:
    """A daemon does not load Jinja2 before the first request for its page."""
    script = "import sys, rotator.service.daemon; print('rotator.views.page' in sys.modules, 'jinja2' in sys.modules)"
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
    assert "<h1>rotator itself is in trouble; as last seen: 1 keyset: 1 fine</h1>" in text
    for told in (
        "No heartbeat from the scheduler for 3h",
        "Dry run",
        "leads as &lt;a&gt;</dd>",
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
    assert "none in trouble" not in text


@pytest.mark.parametrize(
    ("entries", "title"),
    [
        pytest.param(
            [KeysetStatus(policy=policy(f"B2C_1A_{n}")) for n in "ab"], "2 keysets: 2 not seen yet", id="unseen"
        ),
        pytest.param(
            [KeysetStatus(policy=policy("B2C_1A_a")), entry(looked_at(key("a", -10, 81)))],
            "2 keysets: 1 not seen yet, 1 fine",
            id="one unseen",
        ),
        pytest.param(
            [KeysetStatus(policy=policy("B2C_1A_a")), entry(looked_at())],
            "2 keysets: 1 critical, 1 not seen yet",
            id="one unseen, one bad",
        ),
    ],
)
def test_heading_counts_what_was_not_seen(entries: list[KeysetStatus], title: str) -> None:
    """A keyset without a look is not counted as fine."""
    found = {name: each for item in entries for name, each in one(item).items()}
    assert f"<h1>{title}</h1>" in page(found, NOW, PROCESS)


def test_trouble_of_many_is_told_once() -> None:
    """Keysets of one tenant that have the same trouble are one group, with their number, folded away."""
    text = page(
        {("locked", f"k{n}"): entry(failed("wrong secret", policy(f"k{n}"))) for n in range(PAGE)}, NOW, PROCESS
    )
    assert text.count("Wrong secret") == 1
    assert f"<details><summary>{PAGE} keysets of locked</summary>" in text
    assert text.count("<article") == PAGE


def test_trouble_of_few_is_open() -> None:
    """What is in trouble is seen at once, before what is fine, which is folded away by tenant."""
    found = {("contoso", f"k{n}"): entry(looked_at(key("a", -10, 81), of=policy(f"k{n}"))) for n in range(10)}
    found |= {("fabrikam", f"k{n}"): entry(failed("wrong secret", policy(f"k{n}"))) for n in range(MAX_OPEN)}
    text = page(found, NOW, PROCESS)
    assert f"<details open><summary>{MAX_OPEN} keysets of fabrikam" in text
    assert re.findall(r'<details class="tenant (\w+)"([^>]*)>', text) == [("warning", ""), ("fine", "")]
    assert text.index("Wrong secret") < text.index('id="contoso/k0"')


def test_page_of_few_keysets_has_nothing_folded_away() -> None:
    """If there is room for all keysets, none is collapsed."""
    text = page(one(entry(looked_at(key("a", -10, 81)))), NOW, PROCESS)
    assert '<details class="tenant fine" open>' in text


def test_page_of_a_thousand_keysets_is_small() -> None:
    """Whatever is configured, a page has so many keysets, the worst first, and leads to the others."""
    entries = many(1000)
    pages = [page(entries, NOW, PROCESS, Query(page=number)) for number in (1, 2, 25, 26)]
    assert [text.count("<article") for text in pages] == [PAGE] * 4
    assert all(len(text) < 500_000 for text in pages)
    assert "1000 keysets; 41 to 80 are shown" in pages[1]
    assert 'href="?page=3">next<' in pages[1]
    assert 'href="?">previous<' in pages[1]
    assert ">next<" not in pages[2]
    assert pages[3] == pages[2]
    assert set(re.findall(r'<article id="[^"]*" class="(\w+)"', pages[0])) == {"critical"}


def test_filter_keeps_what_was_chosen() -> None:
    """The form shows what is filtered by, and the links keep it."""
    text = page(many(280), NOW, PROCESS, Query(tenant="contoso", state="fine", text="KEYSET", reloads=True))
    assert '<option value="contoso" selected>' in text
    assert '<option value="fine" selected>' in text
    assert 'type="search" value="KEYSET"' in text
    assert '<input type="hidden" name="reload" value="on">' in text
    assert 'href="?reload=on">show all<' in text
    assert "40 keysets match the filter" in text
    assert text.count('<details class="tenant critical" open>') == 1


@pytest.mark.parametrize(("reloads", "found"), [(False, 0), (True, 1)])
def test_page_reloads_only_where_somebody_wants_that(reloads: bool, found: int) -> None:  # noqa: FBT001
    """A page that changes by itself disturbs who reads it with a screen reader, or fills in the filter."""
    text = page({}, NOW, PROCESS, Query(reloads=reloads))
    assert text.count('<meta http-equiv="refresh" content="60">') == found


@pytest.mark.parametrize(
    ("found", "process", "title", "level"),
    [
        pytest.param(looked_at(key("a", -10, 81)), {}, "1 keyset: none in trouble", "fine", id="fine"),
        pytest.param(looked_at(key("a", -80, 11)), {}, "1 keyset: none in trouble", "information", id="due"),
        pytest.param(failed("no"), {}, "Warning: 1 of 1 keyset", "warning", id="failed"),
        pytest.param(looked_at(), {}, "Critical: 1 of 1 keyset", "critical", id="lock-out"),
        pytest.param(failed("no"), {"silence": HOUR}, "Critical: rotator itself", "critical", id="dead"),
        pytest.param(looked_at(), {"skews": {"contoso": 99.0}}, "Critical: 1 of 1 keyset", "critical", id="skewed"),
    ],
)
def test_title_and_icon_follow_the_worst(found: Outcome, process: dict[str, Any], title: str, level: str) -> None:
    """Who only sees the tab knows whether to look."""
    text = page(one(entry(found)), NOW, replace(PROCESS, **process))
    assert f"<title>{title}</title>" in text
    assert f'<link rel="icon" href="{ICONS[Level(level)]}">' in text
    assert len(set(ICONS.values())) == len(Level)


def test_page_says_how_long_it_fails_and_what_is_next() -> None:
    """Since when, how often, when it is looked at again, and the ids for a support case."""
    found = replace(entry(failed("no")), failures=3, failing_since=NOW - 2 * HOUR)
    text = page(one(found), NOW, PROCESS)
    assert "failing since</dt><dd>2h ago (<time>2029-12-31T22:00:00Z</time>)" in text
    assert "tries</dt><dd>3<" in text
    assert "next look</dt><dd>in 30m (<time>2030-01-01T00:30:00Z</time>)" in text
    assert "request id</dt><dd>r-1<" in text


@pytest.mark.parametrize(("dry_run", "told"), [(False, 1), (True, 0)])
def test_page_says_when_the_second_look_is(dry_run: bool, told: int) -> None:  # noqa: FBT001
    """The page shows when the second look takes place; a dry run has no second look."""
    text = page(one(entry(looked_at(key("a", -80, 11)))), NOW, replace(PROCESS, dry_run=dry_run))
    assert text.count("second look at</dt><dd>in 2m (<time>2030-01-01T00:02:00Z</time>)") == told


def test_page_says_since_when_it_fails_while_a_plan_is_open() -> None:
    """A look that only calls for a key ends no failure."""
    found = KeysetStatus(policy=policy())
    found = found.updated(failed("no"), is_preliminary=False, failures=1, drift=())
    later = looked_at(key("a", -80, 11))
    text = page(one(found.updated(later, is_preliminary=True, failures=1, drift=())), NOW + HOUR, PROCESS)
    assert "failing since</dt><dd>1h ago" in text
    assert "next look<" not in text


@pytest.mark.parametrize(
    ("process", "told"),
    [
        pytest.param({"place": ("pod", "rotator-0")}, "<dt>pod</dt><dd>rotator-<wbr>0<", id="pod"),
        pytest.param({"config": "/etc/rotator.yaml"}, "configuration</dt><dd>/etc/<wbr>rotator.yaml<", id="config"),
        pytest.param({}, "version</dt><dd>1.2.3<", id="version"),
        pytest.param({"election": "leads as a"}, "election</dt><dd>leads as a<", id="election"),
        pytest.param({"shard": Shard(index=1, total=4)}, "shard</dt><dd>1 of 4<", id="shard"),
        pytest.param(
            {"shard": Shard(index=1, total=3), "shard_url": "https://b2c-{shard}.example.com/?a&b"},
            'shard</dt><dd>1 of 3 <a href="https://b2c-0.example.com/?a&amp;b">0</a>'
            ' <a href="https://b2c-2.example.com/?a&amp;b">2</a><',
            id="shard with links",
        ),
        pytest.param({"dry_run": True}, "dry run</dt><dd>yes<", id="dry run"),
    ],
)
def test_page_says_what_it_is_the_page_of(process: dict[str, Any], told: str) -> None:
    """Who has several tabs open knows which process each is of."""
    assert told in page({}, NOW, replace(PROCESS, **process))


def test_runbook_is_a_link_where_its_address_is_known() -> None:
    """The name of a section is there in any case."""
    found = one(entry(looked_at()))
    assert "Runbook: B2CKeysetWithoutValidKey" in page(found, NOW, PROCESS)
    linked = page(found, NOW, replace(PROCESS, runbook_url="https://wiki/r", election_variables=("A",)))
    assert '<a href="https://wiki/r#b2ckeysetwithoutvalidkey">B2CKeysetWithoutValidKey</a>' in linked
    assert '<a href="https://wiki/r#change-it-in-the-cluster">Change it in the cluster</a>' in linked


@pytest.mark.parametrize(
    ("found", "process"),
    [
        pytest.param(looked_at(key("a", -10, 81)), {"dry_run": True}, id="dry run"),
        pytest.param(looked_at(key("a", -10, 81), of=policy(mode=Mode.OBSERVE)), {}, id="observe"),
        pytest.param(refused(looked_at(key("a", -10, 81)), "no"), {}, id="failure"),
        pytest.param(
            Held(observation=looked_at(key("a", -10, 81)).observation, reason=Refusal.RUNAWAY_GUARD), {}, id="guard"
        ),
    ],
)
def test_page_plans_nothing_that_nobody_makes(found: Outcome, process: dict[str, Any]) -> None:
    """If no key will be generated, none is drawn, and the time after the cover is red."""
    text = page(one(entry(found)), NOW, replace(PROCESS, **process))
    (drawing,) = re.findall(r'<svg role="img".*?</svg>', text, re.DOTALL)
    assert 'class="plan"' not in drawing
    assert "no valid key from 2030-03-23T00:00:00Z<" in drawing
    assert drawing.count('class="gap"') == 1


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
    """What is written begins if there is room for it, or ends at what it names."""
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
    """The legend comes before the first drawing."""
    text = page(one(entry(looked_at(key("a", -10, 81)))), NOW, PROCESS)
    assert text.index("renewal window") < text.index("<main>")
    assert ">no valid key</li>" in text
    for kind in ("window", "lead", "overlap"):
        assert f'<pattern id="hatch-{kind}"' in text
        assert f".{kind}{{fill:url(#hatch-{kind})" in text


def test_page_judges_when_it_is_read() -> None:
    """A key that has expired since the last look is not shown as valid."""
    found = one(entry(looked_at(key("a", -90, 0.01))))
    assert "no valid key</span>" not in page(found, NOW, PROCESS)
    later = page(found, NOW + DAY / 100 + 22 * HOUR / 3600, PROCESS)
    assert "no valid key</span>" in later
    assert "no valid key, the last one expired 22s ago" in later


def test_page_shows_changes_by_others_for_a_week() -> None:
    """What others changed is said with its kid; what is older is not."""
    changes = (
        Change(kind=ChangeKind.KEY_GONE, seen=NOW - 8 * DAY, kid="old"),
        Change(kind=ChangeKind.KEY_ADDED, seen=NOW - DAY, kid="<b>"),
    )
    known = replace(entry(looked_at(key("a", -10, 81))), changes=changes)
    text = page({("contoso", "B2C_1A_X"): known}, NOW, PROCESS)
    assert "key &lt;b&gt; was added by others (seen 1d ago)" in text
    assert "is gone" not in text
