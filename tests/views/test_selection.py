from dataclasses import replace

import pytest
from views.cases import DAY, HOUR, NOW, entry, failed, key, looked_at, many, policy, refused

from rotator.core.status import KeysetStatus, Name
from rotator.views.assessment import KeysetAssessment, assess
from rotator.views.selection import MAX_PAGE, MAX_TEXT, PAGE, Query, count_states, parse_query, select, states

ENTRIES: dict[Name, KeysetStatus] = {
    ("contoso", "B2C_1A_Fine"): entry(looked_at(key("kid-One", -10, 81))),
    ("contoso", "B2C_1A_Failed"): entry(refused(looked_at(key("b", -10, 81)), "no")),
    ("fabrikam", "B2C_1A_Lock"): entry(looked_at(of=policy("B2C_1A_Lock"))),
    ("fabrikam", "B2C_1A_Due"): entry(looked_at(key("d", -80, 11))),
    ("fabrikam", "B2C_1A_Unseen"): entry(failed("no")),
}


def assessed(entries: dict[Name, KeysetStatus]) -> dict[Name, KeysetAssessment]:
    return {name: assess(each, NOW, 2.5 * HOUR, dry_run=False) for name, each in entries.items()}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        pytest.param("", Query(), id="nothing"),
        pytest.param(
            "tenant=a+b&state=no%20valid%20key&q=%20x%20&page=3&reload=on",
            Query(tenant="a b", state="no valid key", text="x", page=3, reloads=True),
            id="everything",
        ),
        pytest.param("page=0", Query(), id="page 0"),
        pytest.param("page=-1", Query(), id="negative"),
        pytest.param("page=\u0663", Query(), id="another script's digit"),
        pytest.param("page=999999", Query(page=MAX_PAGE), id="large"),
        pytest.param("page=" + "9" * 5000, Query(), id="huge"),
        pytest.param("reload=1&other=x&tenant", Query(), id="unknown"),
        pytest.param("&".join(f"a{n}=b" for n in range(100)), Query(), id="too many"),
        pytest.param("q=" + "x" * 1000, Query(text="x" * MAX_TEXT), id="long"),
        pytest.param("q=%ff%00", Query(text="\ufffd\0"), id="not UTF-8"),
    ],
)
def test_parse_query_understands_or_ignores(text: str, query: Query) -> None:
    """No address is an error: what it does not understand is left out."""
    assert parse_query(text) == query


def test_address_is_what_is_parsed() -> None:
    """A link leads to what it says, on the first page unless it names one."""
    query = Query(tenant="a&b", state="due", text="x=1", page=4, reloads=True)
    assert parse_query(query.address(page=4)[1:]) == query
    assert parse_query(query.address()[1:]) == replace(query, page=1)
    assert Query().address() == "?"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param(Query(), ["Lock", "Failed", "Unseen", "Fine", "Due"], id="all, what is in trouble first"),
        pytest.param(Query(tenant="contoso"), ["Failed", "Fine"], id="a tenant"),
        pytest.param(Query(tenant="conto"), [], id="no tenant"),
        pytest.param(Query(state="warning"), ["Failed", "Unseen"], id="a level"),
        pytest.param(Query(state="no valid key"), ["Lock"], id="a condition"),
        pytest.param(Query(state="fine"), ["Fine"], id="fine"),
        pytest.param(Query(text="FABRI"), ["Lock", "Unseen", "Due"], id="a part of a tenant's name"),
        pytest.param(Query(text="_due"), ["Due"], id="a part of a keyset's name"),
        pytest.param(Query(text="kid-o"), ["Fine"], id="a part of a kid"),
        pytest.param(Query(tenant="fabrikam", state="warning", text="see"), ["Unseen"], id="all of them"),
    ],
)
def test_select_filters(query: Query, names: list[str]) -> None:
    """Each part of a filter leaves out what it does not match."""
    assert [name.removeprefix("B2C_1A_") for _, name in select(assessed(ENTRIES), query).matches] == names


def test_pages_have_every_keyset_once() -> None:
    """Going from page to page shows all that match, and no page is empty."""
    found = assessed(many(3 * PAGE - 1))
    pages = [select(found, Query(page=number)) for number in (1, 2, 3, 4)]
    assert [page.page for page in pages] == [1, 2, 3, 3]
    assert {page.pages for page in pages} == {3}
    shown = [name for page in pages[:3] for name in page.shown]
    assert sorted(shown) == sorted(found)
    assert select({}, Query(page=7)).pages == 1


def test_states_are_counted_and_can_be_chosen() -> None:
    """Each state that the filter offers finds as many keysets as it says, also where a label has a time."""
    old = entry(looked_at(key("a", -10, 81)))
    assert old.observation is not None
    entries = ENTRIES | {("x", "old"): replace(old, observation=replace(old.observation, now=NOW - DAY))}
    found = assessed(entries)
    counted = count_states(found)
    assert counted[:4] == [("critical", 1), ("warning", 3), ("information", 1), ("fine", 1)]
    assert ("not seen", 1) in counted
    for state, number in counted:
        assert len(select(found, Query(state=state)).matches) == number, state
    assert list(states(found["contoso", "B2C_1A_Fine"])) == ["fine"]
