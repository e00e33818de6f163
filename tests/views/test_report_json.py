from views.cases import failed

from rotator.views.report_json import row


def test_row_of_a_keyset_that_was_not_seen_is_null_where_it_must_be() -> None:
    """Every member is there, null where it does not apply."""
    found = row(failed("no"))
    assert {name for name, value in found.items() if value is None} == {
        "active_kid",
        "covered_until",
        "renewal_due",
        "publish_by",
        "activation",
        "key",
        "notes",
    }
