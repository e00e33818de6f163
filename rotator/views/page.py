"""
The status page: one HTML document, without a script and without anything from elsewhere.

For whoever is on call: what is in trouble comes first, in words, with what to do. For
everybody else: each keyset's keys against time, a year ahead. Everything that comes
from outside is escaped; the style is allowed by its hash alone.

Source: Content Security Policy Level 3, section 6.7.3 (hashes of inline styles).
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import groupby

from rotator.board import Entry, Name
from rotator.core.keyset import NEVER
from rotator.core.outcome import Failed, Outcome
from rotator.core.text import format_instant, printable
from rotator.core.timeline import draw
from rotator.views.svg import render
from rotator.views.words import Level, Verdict, details, remaining, verdict

_UNSEEN = Verdict(level=Level.DUE, word="not seen yet", sentence="its first look has not come yet")
_SIGNS = {
    Level.GOOD: "\N{CHECK MARK}",
    Level.DUE: "\N{BLACK RIGHT-POINTING TRIANGLE}",
    Level.BAD: "\N{MULTIPLICATION X}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """
    What the page says of the program itself.

    notices: what somebody should know before all else, such as that it never writes
    refresh: seconds after which a browser asks again
    """

    version: str
    notices: Sequence[str]
    refresh: int


def page(entries: Mapping[Name, Entry], now: datetime, about: About) -> str:
    """The whole document."""
    verdicts = {name: verdict(entry.outcome) if entry.outcome else _UNSEEN for name, entry in entries.items()}
    parts = [
        _HEAD.format(refresh=about.refresh, style=STYLE, title=escape(_title(verdicts))),
        f"<h1>{escape(_title(verdicts))}</h1>",
        *(f'<p class="notice">{escape(notice)}</p>' for notice in about.notices),
        *_trouble(verdicts),
        "<main>",
        *_tenants(entries, verdicts, now),
        "</main>",
        _LEGEND,
        _FOOT.format(version=escape(about.version), now=format_instant(now), refresh=about.refresh),
    ]
    return "".join(parts)


def _title(verdicts: Mapping[Name, Verdict]) -> str:
    bad = sum(found.level is Level.BAD for found in verdicts.values())
    keysets = f"{len(verdicts)} keyset{'' if len(verdicts) == 1 else 's'}"
    return f"{bad} of {keysets} in trouble" if bad else f"{keysets}, none in trouble"


def _trouble(verdicts: Mapping[Name, Verdict]) -> Iterator[str]:
    bad = [(name, found) for name, found in verdicts.items() if found.level is Level.BAD]
    if not bad:
        return
    yield '<nav aria-label="In trouble"><ul>'
    for name, found in bad:
        yield (
            f'<li><a href="#{_anchor(name)}">{escape("/".join(name))}</a> '
            f"<strong>{escape(found.word)}</strong>: {_text(found.sentence)}</li>"
        )
    yield "</ul></nav>"


def _tenants(entries: Mapping[Name, Entry], verdicts: Mapping[Name, Verdict], now: datetime) -> Iterator[str]:
    for tenant, names in groupby(entries, lambda name: name[0]):
        yield f"<section><h2>{escape(tenant)}</h2>"
        for name in names:
            yield from _keyset(name, entries[name], verdicts[name], now)
        yield "</section>"


def _keyset(name: Name, entry: Entry, found: Verdict, now: datetime) -> Iterator[str]:
    policy = entry.policy
    yield (
        f'<article id="{_anchor(name)}" class="{found.level}"><h3>{escape(name[1])} '
        f'<span class="badge">{_SIGNS[found.level]} {escape(found.word)}</span></h3>'
        f"<p>{_text(found.sentence)}</p><dl>"
    )
    yield _term("made for", f"{policy.kty} {policy.use}, {policy.mode.value}")
    if entry.sight is not None and entry.sight.outlook is not None:
        yield from _next(entry, now)
    yield from _told(entry.outcome, found)
    yield "</dl>"
    if entry.sight is not None and entry.sight.keyset is not None and entry.sight.keyset.keys:
        yield render(draw(policy, entry.sight.keyset, now), "/".join(name))
    yield "</article>"


def _next(entry: Entry, now: datetime) -> Iterator[str]:
    sight = entry.sight
    if sight is None or sight.outlook is None:
        return
    plan = sight.outlook.plan
    covered = "no end" if sight.outlook.covered_until == NEVER else _when(sight.outlook.covered_until, now)
    yield _term("covered until", covered)
    yield _term("next key due", _when(plan.renewal_due, now))
    yield _term("takes over" if plan.activation >= now else "was to take over", _when(plan.activation, now))
    if entry.failures:
        yield _term("last seen", _when(sight.now, now))


def _told(outcome: Outcome | None, found: Verdict) -> Iterator[str]:
    if outcome is None:
        return
    told = [text for text in details(outcome) if text != found.sentence]
    if isinstance(outcome, Failed):
        told += [f"request-id {outcome.failure.request_id}"] if outcome.failure.request_id else []
    for text in told:
        yield _term("note", text)


def _term(name: str, text: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{_text(text)}</dd></div>"


def _when(instant: datetime, now: datetime) -> str:
    return f"{remaining(instant, now)} ({format_instant(instant)})"


def _text(text: str) -> str:
    return escape(printable(text))


def _anchor(name: Name) -> str:
    return escape("/".join(name).replace(" ", "_"))


STYLE = """\
:root{color-scheme:light dark;--line:#ccc;--dim:#666;--good:#17702e;--due:#8a5a00;--bad:#b3161b;
--active:#2f6fb2;--valid:#a9c8e8;--plan:#8b949e;--planvalid:#dfe3e8;--window:#f3e3b3;--lead:#f7cfa0;--overlap:#d9c2ec}
@media(prefers-color-scheme:dark){:root{--line:#444;--dim:#aaa;--good:#5fd07f;--due:#e8b84a;--bad:#ff7b72;
--active:#58a6ff;--valid:#27466b;--plan:#8b949e;--planvalid:#3a4049;--window:#4a3f1a;--lead:#5c3b16;--overlap:#46325a}}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:72rem;overflow-wrap:anywhere}
h1{font-size:1.4rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
h3{font-size:1rem;margin:0;font-weight:600}
article{border:1px solid var(--line);border-left-width:6px;border-radius:4px;padding:.6rem .8rem;
margin:.6rem 0}
article p{margin:.1rem 0 .3rem}
.good{border-left-color:var(--good)}.due{border-left-color:var(--due)}.bad{border-left-color:var(--bad)}
.badge{font-weight:600;font-size:.9rem;white-space:nowrap}
.good .badge{color:var(--good)}.due .badge{color:var(--due)}.bad .badge,nav strong{color:var(--bad)}
.notice{border:1px solid var(--due);border-radius:4px;padding:.4rem .8rem}
nav ul{padding-left:1.2rem}
dl{margin:0;display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;font-size:.9rem}
dl div{display:flex;gap:.4rem}dt{color:var(--dim);white-space:nowrap}dd{margin:0}
svg{display:block;width:100%;margin-top:.5rem}
svg text{font:10px ui-monospace,monospace;fill:currentColor}
svg .axis{fill:var(--dim)}svg .tick{stroke:var(--line)}svg .now{stroke:var(--bad);stroke-width:2}
.active{fill:var(--active)}.valid{fill:var(--valid)}.plan{fill:var(--plan)}.planvalid{fill:var(--planvalid)}
.window{fill:var(--window)}.lead{fill:var(--lead)}.overlap{fill:var(--overlap)}
.off{fill:none;stroke:var(--dim);stroke-dasharray:3 2}
.label{paint-order:stroke;stroke:Canvas;stroke-width:3px;stroke-linejoin:round}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.85rem;color:var(--dim);padding:0;list-style:none}
.legend svg{display:inline-block;width:1.6rem;height:.8rem;margin:0 .3rem 0 0;vertical-align:middle}
footer{margin-top:1rem;font-size:.85rem;color:var(--dim)}
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
"""The Content-Security-Policy that goes with the page."""

_HEAD = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{refresh}">
<title>{title}</title>
<style>{style}</style></head>
"""

_FOOT = """
<footer>rotator {version}, {now}; asks for itself again every {refresh}s.
The same for programs: <a href="/status.json">status.json</a>, <a href="/metrics">metrics</a></footer></html>
"""

_SWATCH = '<li><svg aria-hidden="true"><rect class="{kind}" width="100%" height="100%"/></svg>{text}</li>'
_LEGEND = (
    '<ul class="legend">'
    + "".join(
        _SWATCH.format(kind=kind, text=text)
        for kind, text in (
            ("active", "active key"),
            ("valid", "valid key"),
            ("plan", "planned key, active"),
            ("planvalid", "planned key, valid"),
            ("off", "disabled key"),
            ("window", "renewal window"),
            ("lead", "publication lead"),
            ("overlap", "overlap"),
        )
    )
    + "<li>the upright line is now</li></ul>"
)
