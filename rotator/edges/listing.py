"""
The list of a tenant's keysets, read page by page.

Pure functions, and a collection for their results.

Source: Graph's pages on trustFrameworkKeySet (list) and on paging (`@odata.nextLink`).
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from rotator.core.errors import RequestError
from rotator.core.inventory import Listed
from rotator.core.keyset import Keyset
from rotator.edges.answers import MAX_TEXT, Json, is_text, keyset_or_error, origin, unreadable

MAX_KEYSETS = 10_000  # in one list, over all its pages
MAX_KEYS = 25_000  # of the wanted keysets together, and of the others; each takes about 300 bytes
MAX_PAGES = 200
BACKUP = ".bak"  # the end of the id of a backup, which B2C keeps of a deleted keyset

Found = Keyset | RequestError


class Listing:
    """
    Collects the wanted keysets, and a limited number of others, from the pages of a list.

    A keyset with exactly the wanted id is preferred to one that differs in case, because it is not documented
    whether B2C compares ids with regard to case. If several keysets match equally well, it is an error.
    """

    def __init__(self, wanted: Collection[str], max_others: int = 0) -> None:
        """*wanted*: ids that do not differ only in case; *max_others*: how many other keysets to collect."""
        self._names = {keyset_id.lower(): keyset_id for keyset_id in wanted}
        self._exact: dict[str, Found] = {}
        self._similar: dict[str, Found] = {}
        self._max_others = max_others
        self._others: dict[str, Found] = {}
        self._backups: list[str] = []
        self._count = self._keys = self._other_keys = self._left_out = 0

    def add(self, page: Json) -> None:
        """
        Add the keysets of one page. The value of a keyset that cannot be parsed is the error.

        Raises:
            RequestError: `unreadable`, where the page is not a list of keysets, or there are too many.

        """
        items = parse_page(page)
        self._count += len(items)
        if self._count > MAX_KEYSETS:
            raise unreadable(f"the list of keysets has more than {MAX_KEYSETS}")
        for item in items:
            listed = item.get("id")
            if not isinstance(listed, str):
                raise unreadable("the list of keysets has an entry without an id")
            if name := self._names.get(listed.lower()):
                found = self._exact if listed == name else self._similar
                found[name] = _ambiguous(name) if name in found else self._parsed(name, item)
            elif len(listed) <= MAX_TEXT and listed.lower().endswith(BACKUP):
                if self._max_others or listed[: -len(BACKUP)].lower() in self._names:
                    self._backups.append(listed)
            elif self._max_others:
                self._add_other(listed, item)

    def _parsed(self, name: str, item: Json) -> Found:
        keyset = keyset_or_error(name, item)
        self._keys += len(keyset.keys) if isinstance(keyset, Keyset) else 0
        if self._keys > MAX_KEYS:
            raise unreadable(f"the keysets of the list have more than {MAX_KEYS} keys")
        return keyset

    def _add_other(self, listed: str, item: Json) -> None:
        """Add a keyset that is not wanted, if there is room; an error in it must not affect the wanted ones."""
        has_room = len(self._others) < self._max_others and self._other_keys <= MAX_KEYS
        if not has_room or len(listed) > MAX_TEXT or listed in self._others:
            self._left_out += 1
            return
        keyset = self._others[listed] = keyset_or_error(listed, item)
        self._other_keys += len(keyset.keys) if isinstance(keyset, Keyset) else 0

    def found(self) -> Listed:
        """The keysets of all pages so far."""
        return Listed(
            wanted=self._similar | self._exact,
            others=self._others,
            left_out=self._left_out,
            backups=tuple(self._backups),
        )


def _ambiguous(name: str) -> RequestError:
    return unreadable(f"keyset {name}: the list has several keysets of that name; delete or rename all but one")


def parse_page(page: Json) -> list[Mapping[str, Any]]:
    """
    The objects on one page of a list.

    Raises:
        RequestError: `unreadable`.

    """
    value = page.get("value")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise unreadable("the list of keysets has no list of objects in `value`")
    return value


def kids_of(page: Json) -> Iterator[str]:
    """The kids of all keysets on one page of a list."""
    for item in parse_page(page):
        keys = item.get("keys")
        for key in keys if isinstance(keys, list) else ():
            if isinstance(key, dict) and is_text(key.get("kid")):
                yield str(key["kid"])


def key_ids(page: Json) -> frozenset[str]:
    """
    The kids in a list of keys.

    Raises:
        RequestError: `unreadable`.

    """
    return frozenset(str(key["kid"]) for key in parse_page(page) if is_text(key.get("kid")))


def next_page(url: str, page: Json) -> str:
    """
    The URL of the page after *page*, which was at *url*; empty if it was the last one.

    Raises:
        RequestError: `unreadable`, it is at another host, or not a URL.

    """
    link = page.get("@odata.nextLink")
    if link is None or link == "":
        return ""
    try:
        target = urljoin(url, link) if isinstance(link, str) else ""
    except ValueError:
        target = ""
    if origin(target) != origin(url) or not target.isprintable():
        raise unreadable("the next page of the list is at another host or has no valid URL (@odata.nextLink)")
    return target
