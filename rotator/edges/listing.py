"""
The list of a tenant's keysets, read page by page.

Pure functions, and a collection that they fill.

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
MAX_KEYS = 25_000  # of the wanted keysets together, and of the others: they are kept, and take some 300 bytes each
MAX_PAGES = 200
BACKUP = ".bak"  # ends the id of a backup that B2C keeps of a deleted keyset

Found = Keyset | RequestError


class Listing:
    """
    What a list shows of the wanted keysets and, up to a number, of the others.

    The id as wanted counts before one that differs from it in case: B2C's case rules for ids are not
    documented. Where several keysets have the same claim to a name, none of them is taken.
    """

    def __init__(self, wanted: Collection[str], max_others: int = 0) -> None:
        """Nothing is listed yet; no two of *wanted* differ in case alone. *max_others*: keysets to read besides."""
        self._names = {keyset_id.lower(): keyset_id for keyset_id in wanted}
        self._exact: dict[str, Found] = {}
        self._similar: dict[str, Found] = {}
        self._max_others = max_others
        self._others: dict[str, Found] = {}
        self._backups: list[str] = []
        self._count = self._keys = self._other_keys = self._left_out = 0

    def add(self, page: Json) -> None:
        """
        Take what one page shows. A keyset that cannot be read is kept as the error that says why.

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
        """Read a keyset that is not wanted, if there is room: it must not cost the wanted ones anything."""
        has_room = len(self._others) < self._max_others and self._other_keys <= MAX_KEYS
        if not has_room or len(listed) > MAX_TEXT or listed in self._others:
            self._left_out += 1
            return
        keyset = self._others[listed] = keyset_or_error(listed, item)
        self._other_keys += len(keyset.keys) if isinstance(keyset, Keyset) else 0

    def found(self) -> Listed:
        """What the pages showed."""
        return Listed(
            wanted=self._similar | self._exact,
            others=self._others,
            left_out=self._left_out,
            backups=tuple(self._backups),
        )


def _ambiguous(name: str) -> RequestError:
    return unreadable(f"keyset {name}: the list has several of that name; it is not known which one is meant")


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


def next_page(url: str, page: Json) -> str:
    """
    The address of the page after *page*, which was at *url*; empty if it was the last.

    Raises:
        RequestError: `unreadable`, if it is at another host, or not an address.

    """
    link = page.get("@odata.nextLink")
    if link is None or link == "":
        return ""
    try:
        target = urljoin(url, link) if isinstance(link, str) else ""
    except ValueError:
        target = ""
    if origin(target) != origin(url) or not target.isprintable():
        raise unreadable("the list of keysets goes on at another host, or nowhere (@odata.nextLink); not followed")
    return target
