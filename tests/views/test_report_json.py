from datetime import timedelta

from views.cases import NOW, failed, key, looked_at, policy

from rotator.core.policy import Mode
from rotator.views.report_json import row


def test_row_of_a_keyset_that_was_not_seen_is_null_where_it_must_be() -> None:
    """Every member is there, null where it does not apply."""
    found = row(failed("no"))
    assert {name for name, value in found.items() if value is None} == {
        "active_kid",
        "covered_until",
        "cover",
        "would",
        "renewal_due",
        "publish_by",
        "activation",
        "calendar",
        "activation_pulled_by_seconds",
        "key",
        "notes",
        "proof",
    }


def test_row_of_what_is_observed_says_what_would_be_done() -> None:
    """The reason that there would be, and the key; nothing of it where something may be done."""
    rules = policy(mode=Mode.OBSERVE)
    due, fine = row(looked_at(key("a", -80, 11), of=rules)), row(looked_at(key("a", -10, 81), of=rules))
    nbf = int((NOW + timedelta(days=10)).timestamp())
    assert (due["outcome"], due["reason"], due["would"]) == ("held", "observe", "renewal_due")
    assert due["key"] == {"use": "sig", "kty": "RSA", "nbf": nbf, "exp": nbf + 91 * 86400, "kid": None}
    assert (fine["would"], fine["key"]) == ("not_due", None)
    assert row(looked_at(key("a", -10, 81)))["would"] is None
