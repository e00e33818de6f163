"""
The control endpoints as a page for people: what can go wrong, with a curl command for each.

Every command can be copied into a shell of the machine on which the emulator runs.
"""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rotator.emulator.faults.fault import Injected, Kind
from rotator.emulator.http.answers import HTML, Answer
from rotator.emulator.http.routes import CONTROL_ROOT
from rotator.emulator.model.tenants import Tenant

_WRITE = {"where": "generate_key"}
_READ = {"where": "list_keysets"}
FAULTS: dict[Kind, tuple[str, dict[str, Any]]] = {
    Kind.HANG: ("The request is not answered until the fault is released or removed.", _READ),
    Kind.SLOW: ("The answer comes after delay seconds.", {**_READ, "delay": 5}),
    Kind.THROTTLED: ("429, with Retry-After in seconds.", {**_READ, "retry_after": 10, "times": 3}),
    Kind.STATUS: ("An error of the service.", {**_WRITE, "status": 503}),
    Kind.HTML: ("502 with a page of a gateway.", _READ),
    Kind.EMPTY: ("200 without a body.", _READ),
    Kind.LIST: ("A JSON list in the place of an object.", _READ),
    Kind.BODY: ("Any other body.", {**_READ, "body": "no JSON", "content_type": "text/plain"}),
    Kind.HUGE: ("size bytes of valid JSON.", {**_READ, "size": 50_000_000}),
    Kind.GZIP_BOMB: ("A small answer that unpacks to size bytes.", {**_READ, "size": 50_000_000}),
    Kind.REDIRECT: ("302 to another host.", _READ),
    Kind.RESET: ("The connection is reset.", _READ),
    Kind.CLOSE: (
        "The connection is closed without an answer, after the key was generated.",
        {**_WRITE, "when": "after_commit"},
    ),
    Kind.LOST: ("The write is answered as if it were done, and is not.", _WRITE),
    Kind.ALTERED: ("The key gets other dates than those that were asked for.", {**_WRITE, "shift": 3600}),
    Kind.MISSING_MEMBER: ("A member is missing at the top of the answer.", {**_READ, "member": "value"}),
    Kind.MISSING_KID: ("No key of the answer has a kid.", _READ),
    Kind.FORGED_MEMBER: ("A member of every key has another value.", {**_READ, "member": "exp", "value": "soon"}),
    Kind.FOREIGN_NEXT_LINK: ("The next page is at another host.", _READ),
    Kind.NEXT_LINK_LOOP: ("The next page is this one.", _READ),
    Kind.INSECURE_NEXT_LINK: ("The next page is at an address with http.", _READ),
    Kind.DRIP: ("The answer is sent a byte at a time.", {**_READ, "interval": 0.1}),
    Kind.TRUNCATED: ("The connection ends before the answer does.", _READ),
    Kind.CUT_JSON: ("The answer ends in the middle of its JSON.", _READ),
    Kind.WRONG_DATE: ("The Date header is skew seconds off.", {"skew": -400}),
}
"""The effect of each kind of fault, and the members of an example besides `what`."""

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { margin: 1rem auto; max-width: 70rem; padding: 0 1rem; }
pre { overflow-x: auto; padding: .5rem; margin: .2rem 0 1rem; border: 1px solid; border-radius: .3rem; }
dt { font-weight: bold; }
dd { margin: 0; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The content of the page: the emulator's URL, the file with its CA, and its tenants."""

    url: str
    ca_file: Path
    tenants: Sequence[Tenant]

    def answer(self, faults: Iterable[Injected]) -> Answer:
        """The page as an answer, with the active *faults*."""
        return Answer(status=200, body=self._html(faults).encode(), content_type=HTML)

    def _html(self, faults: Iterable[Injected]) -> str:
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>Emulated tenants</title><style>{_STYLE}</style></head><body>"
            "<h1>Emulated tenants</h1><p>Requests, faults, switches and the clock, by curl. The same address answers "
            "programs in JSON.</p><h2>Tenants</h2>"
            f"{_list(self._tenant(tenant) for tenant in self.tenants)}"
            f"<h2>Active faults</h2>{_list(_fault(each) for each in faults) or '<p>None.</p>'}"
            f"{self._curl('DELETE', '/faults')}"
            "<h2>Make trouble</h2><p>Each of these stays until it is removed. <code>times</code> limits it to so many "
            "requests, <code>tenant</code> and <code>keyset</code> to one of them, <code>where</code> to one "
            "operation; without it, every request is concerned.</p>"
            f"<dl>{''.join(self._example(kind) for kind in Kind)}</dl>"
            f"<h2>More</h2><dl>{''.join(self._more())}</dl></body></html>\n"
        )

    def _tenant(self, tenant: Tenant) -> str:
        keysets = ", ".join(keyset.id for keyset in tenant.all_keysets() if keyset.exists)
        return f"<strong>{escape(tenant.domain)}</strong> ({escape(tenant.id)}): {escape(keysets) or 'no keyset'}"

    def _example(self, kind: Kind) -> str:
        text, members = FAULTS[kind]
        command = self._curl("POST", "/faults", {"what": kind.value, **members})
        return f'<dt id="{kind}">{kind}</dt><dd>{escape(text)}{command}</dd>'

    def _more(self) -> Iterable[str]:
        yield f"<dt>What was requested</dt><dd>{self._curl('GET', '/requests')}</dd>"
        yield f"<dt>30 days pass</dt><dd>{self._curl('PUT', '/clock', {'now': 'now+30d'})}</dd>"
        for tenant in self.tenants:
            root = f"/tenants/{tenant.domain}"
            yield f"<dt>How {escape(tenant.domain)} answers</dt><dd>{self._curl('GET', f'{root}/switches')}</dd>"
            for keyset in [each for each in tenant.all_keysets() if each.exists][:1]:
                add = self._curl("POST", f"{root}/keysets/{keyset.id}/keys", {"nbf": "now", "exp": "now+90d"})
                yield f"<dt>A person adds a key to {escape(keyset.id)}</dt><dd>{add}</dd>"

    def _curl(self, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        words = ["curl", "--silent", "--show-error", "--cacert", str(self.ca_file)]
        words += [] if method == "GET" else ["--request", method]
        words.append(f"{self.url}{CONTROL_ROOT}{path}")
        if body is not None:
            words += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
        return f"<pre>{escape(shlex.join(words))}</pre>"


def _fault(injected: Injected) -> str:
    fault = injected.fault
    return f"{injected.number}: {fault.what} at {fault.where or 'every operation'}, hit {injected.hits} times"


def _list(items: Iterable[str]) -> str:
    found = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{found}</ul>" if found else ""
