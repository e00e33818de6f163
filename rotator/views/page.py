"""
The status page: one HTML document, without a script and without anything from elsewhere.

For whoever is on call: what is in trouble comes first, the most urgent at the top, with
how long is left and what to do. For everybody else: each keyset's keys against time, a
year ahead. What it shows is judged when it is asked for, and it says how old the looks are
that it goes by. Everything that comes from outside is escaped.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from urllib.parse import quote

from rotator.core.outcome import Failed
from rotator.core.text import format_instant, printable
from rotator.core.timeline import draw
from rotator.shell.status_store import Entry, Name
from rotator.views.judgement import Case, judge, troubles
from rotator.views.program import About, faults, notices
from rotator.views.signs import Level, Sign
from rotator.views.style import LEGEND, PATTERNS, STYLE
from rotator.views.svg import render
from rotator.views.words import came, falls_short, has_window, remaining

FEW = 3  # keysets of one trouble that are named at once; of more, the names are folded away
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_SIGNS = {
    Level.GOOD: "\N{CHECK MARK}",
    Level.DUE: "\N{BLACK RIGHT-POINTING TRIANGLE}",
    Level.BAD: "\N{MULTIPLICATION X}",
}


def page(entries: Mapping[Name, Entry], now: datetime, about: About) -> str:
    """The whole document."""
    cases = {name: judge(entry, now, about.stale, dry_run=about.dry_run) for name, entry in entries.items()}
    wrong = list(faults(about, now))
    title = _text(_title(list(cases.values()), about, is_wrong=bool(wrong)))
    parts = [
        _HEAD.format(refresh=about.refresh, style=STYLE, title=title),
        f"<h1>{title}</h1>",
        *(f'<p class="trouble">{_SIGNS[Level.BAD]} {_text(fault)}</p>' for fault in wrong),
        *(f'<p class="notice">{_text(notice)}</p>' for notice in notices(about)),
        _as_of(now, about),
        *_trouble(cases),
        PATTERNS + LEGEND if cases else "",
        "<main>",
        *_tenants(cases),
        "</main>",
        _FOOT.format(version=escape(about.version), refresh=about.refresh),
    ]
    return "".join(parts)


def _title(cases: Sequence[Case], about: About, *, is_wrong: bool) -> str:
    if about.is_idle:
        return f"This replica looks at nothing: {about.leader or 'nobody'} leads"
    keysets = f"{len(cases)} keyset{'' if len(cases) == 1 else 's'}"
    bad = sum(case.level is Level.BAD for case in cases)
    unseen = sum(case.entry.outcome is None for case in cases)
    parts = [f"{bad} of {keysets} in trouble"] if bad else [keysets]
    if unseen:
        parts.append("not seen yet" if unseen == len(cases) == 1 else f"{unseen} not seen yet")
    elif not bad:
        parts.append("none in trouble")
    text = ", ".join(parts)
    return f"rotator itself is in trouble; as last seen: {text}" if is_wrong else text


def _as_of(now: datetime, about: About) -> str:
    swept = "no sweep has ended yet"
    if about.is_idle:
        swept = "this replica sweeps nothing"
    elif about.swept is not None:
        swept = f"the last sweep ended {_when(about.swept, now)}"
    return f'<p class="asof">Now it is {_time(now)}; {swept}.</p>'


def _trouble(cases: Mapping[Name, Case]) -> Iterator[str]:
    groups = troubles(cases)
    if not groups:
        return
    yield '<nav aria-label="In trouble"><ul>'
    for names in groups:
        first = cases[names[0]]
        left = f"{'the first: ' if len(names) > 1 and first.left is not None else ''}{_text(first.time_left())}"
        yield f"<li>{_links(names)} <strong>{_text(first.words)}</strong> ({left})"
        yield from (f"<p>{_told(sign)}</p>" for sign in first.gravest)
        yield "</li>"
    yield "</ul></nav>"


def _links(names: Sequence[Name]) -> str:
    links = ", ".join(f'<a href="#{_anchor(name)}">{_text("/".join(name))}</a>' for name in names)
    if len(names) <= FEW:
        return links
    return f"<details><summary>{len(names)} keysets of {_text(names[0][0])}</summary>{links}</details>"


def _told(sign: Sign) -> str:
    """A sign in full: what it means, what to do, and where that is written at length."""
    texts = [f"{text[0].upper()}{text[1:]}." for text in (sign.sentence, sign.advice) if text]
    texts += [f"Runbook: {sign.section}"] if sign.section else []
    return _text(" ".join(texts))


def _tenants(cases: Mapping[Name, Case]) -> Iterator[str]:
    for tenant, names in groupby(cases, lambda name: name[0]):
        yield f"<section><h2>{_text(tenant)}</h2>"
        for name in names:
            yield from _keyset(name, cases[name])
        yield "</section>"


def _keyset(name: Name, case: Case) -> Iterator[str]:
    policy = case.entry.policy
    badges = "".join(
        f' <span class="badge {sign.level}">{_SIGNS[sign.level]} {_text(sign.word)}</span>' for sign in case.signs
    )
    yield f'<article id="{_anchor(name)}" class="{case.level}"><h3>{_text(name[1])}{badges}</h3>'
    yield from (f"<p>{_told(sign)}</p>" for sign in case.signs)
    yield "<dl>"
    yield _term("made for", _text(f"{policy.kty} {policy.use}, {policy.mode.value}"))
    yield from _next(case)
    yield from _notes(case)
    yield "</dl>"
    if case.keyset is not None and case.keyset.keys:
        yield render(draw(policy, case.keyset, case.now), "/".join(name))
    yield "</article>"


def _next(case: Case) -> Iterator[str]:
    now, observation = case.now, case.entry.observation
    if case.decision is None or observation is None:
        yield _term("covered until", "not known: it was never seen") if case.entry.outcome else ""
        return
    assessment = case.decision.assessment
    end = assessment.covered_until
    yield _term("covered until", _text(case.without_end()) if end is None else _when(end, now))
    plan = assessment.plan
    if has_window(plan):  # otherwise there is no key that the next one would follow
        yield _term("next key due", _when(plan.renewal_due, now))
        late = plan.publish_by < now
        yield _term("was to be generated by" if late else "must be generated by", _when(plan.publish_by, now))
        yield _term("takes over" if plan.activation >= now else "was to take over", _when(plan.activation, now))
    if assessment.shortfall:
        yield _term("falls short", _text(falls_short(assessment.shortfall)))
    yield _term("last seen", _when(observation.now, now))


def _notes(case: Case) -> Iterator[str]:
    outcome = case.entry.standing
    if outcome is None:
        return
    told = {sign.sentence for sign in case.signs}
    notes = [text for text in came(outcome) if text not in told]
    if isinstance(outcome, Failed):
        notes += [f"request-id {outcome.failure.request_id}"] if outcome.failure.request_id else []
        notes += [f"{case.entry.failures} failed in a row"] if case.entry.failures > 1 else []
    yield from (_term("note", _INSTANT.sub(r"<time>\g<0></time>", _text(note))) for note in notes)


def _term(name: str, markup: str) -> str:
    return f"<div><dt>{name}</dt><dd>{markup}</dd></div>"


def _when(instant: datetime, now: datetime) -> str:
    return f"{remaining(instant, now)} ({_time(instant)})"


def _time(instant: datetime) -> str:
    return f"<time>{format_instant(instant)}</time>"


def _text(text: str) -> str:
    return escape(printable(text))


def _anchor(name: Name) -> str:
    """What stands for *name* in an address, and for no other."""
    return "/".join(quote(part, safe="") for part in name)


_HEAD = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{refresh}">
<title>{title}</title>
<style>{style}</style></head>
"""

_FOOT = """
<footer>rotator {version}; this page asks for itself again every {refresh}s.
The same for programs: <a href="/status.json">status.json</a>, <a href="/metrics">metrics</a></footer></html>
"""
