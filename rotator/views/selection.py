"""
The selection of keysets on a page: the filter and the page number in its URL.

    /?tenant=contoso&state=critical&q=signing&page=2
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from rotator.core.status import Name
from rotator.views.assessment import KeysetAssessment
from rotator.views.condition import Level
from rotator.views.urgency import urgency

PAGE = 40  # keysets on one page
MAX_TEXT = 200  # characters of one value of the filter
MAX_PAGE = 100_000
_SPAN = re.compile(r" for \d\S*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    The query of a URL; an empty text matches everything.

    tenant: the name of a tenant
    state:  a level or a label of a condition
    text:   a part of the name of a tenant or keyset, or of a kid, without regard to case
    page:   from 1 on
    reloads: the browser reloads the page at an interval
    """

    tenant: str = ""
    state: str = ""
    text: str = ""
    page: int = 1
    reloads: bool = False

    @property
    def is_filter(self) -> bool:
        """True if it filters keysets."""
        return bool(self.tenant or self.state or self.text)

    def address(self, **changes: str | int | bool) -> str:
        """The URL of this query with *changes*, relative to the page."""
        query = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        parts = {
            "tenant": query.tenant,
            "state": query.state,
            "q": query.text,
            "page": str(query.page) if query.page > 1 else "",
            "reload": "on" if query.reloads else "",
        }
        return f"?{urlencode({name: value for name, value in parts.items() if value})}"


def parse_query(text: str) -> Query:
    """Parse the query of a URL, without its question mark; unknown and invalid parts are ignored."""
    try:
        parts = dict(parse_qsl(text[: 10 * MAX_TEXT], max_num_fields=20, errors="replace"))
    except ValueError:
        return Query()
    page = parts.get("page", "")
    return Query(
        tenant=parts.get("tenant", "")[:MAX_TEXT],
        state=parts.get("state", "")[:MAX_TEXT],
        text=parts.get("q", "")[:MAX_TEXT].strip(),
        page=min(max(int(page), 1), MAX_PAGE) if re.fullmatch(r"[0-9]{1,6}", page) else 1,
        reloads=parts.get("reload") == "on",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    The keysets that match, those in trouble first, and those of them on one page.

    page, pages: the number of the page, and how many there are
    """

    matches: tuple[Name, ...]
    shown: tuple[Name, ...]
    page: int
    pages: int


def select(assessments: Mapping[Name, KeysetAssessment], query: Query) -> Selection:
    """The keysets that *query* selects; a page number after the last one gives the last one."""
    found = [name for name, each in assessments.items() if _matches(name, each, query)]
    troubles = sorted(
        (name for name in found if assessments[name].level.is_trouble), key=lambda name: urgency(assessments[name])
    )
    matches = (*troubles, *(name for name in found if not assessments[name].level.is_trouble))
    pages = max(1, -(-len(matches) // PAGE))
    page = min(query.page, pages)
    return Selection(matches=matches, shown=matches[(page - 1) * PAGE : page * PAGE], page=page, pages=pages)


def states(assessment: KeysetAssessment) -> Iterator[str]:
    """The states of a keyset by which it can be found: its level, and the labels of its conditions."""
    yield assessment.level.value
    yield from (state for each in assessment.conditions if (state := _SPAN.sub("", each.label)) not in tuple(Level))


def count_states(assessments: Mapping[Name, KeysetAssessment]) -> list[tuple[str, int]]:
    """Each state with the number of its keysets: levels first, the most serious at the top."""
    counts = Counter(state for each in assessments.values() for state in dict.fromkeys(states(each)))
    levels = [(level.value, counts.pop(level.value)) for level in Level if level.value in counts]
    return levels + sorted(counts.items())


def _matches(name: Name, assessment: KeysetAssessment, query: Query) -> bool:
    if query.tenant and name[0] != query.tenant:
        return False
    if query.state and query.state not in states(assessment):
        return False
    if not query.text:
        return True
    kids = (key.kid or "" for key in assessment.keyset.keys) if assessment.keyset is not None else ()
    text = query.text.casefold()
    return any(text in each.casefold() for each in (*name, *kids))
