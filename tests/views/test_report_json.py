from dataclasses import replace
from datetime import timedelta
from typing import Any

from core.builders import certified
from views.cases import NOW, failed, key, looked_at, policy

from rotator.core.policy import Mode
from rotator.views.report_json import row, status_document


def test_row_of_a_keyset_that_was_not_seen_is_null_where_it_must_be() -> None:
    """Every member is there, null if it does not apply."""
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


def test_status_document_shows_certificates() -> None:
    """Null without one, its members where it can be read, and null for each where it cannot."""
    keys = (
        key("bare", -10, 81),
        certified(key("read", -5, 365), chain=NOW + timedelta(days=30)),
        replace(key("unread", -1, 365), has_certificate=True),
    )
    document: Any = status_document([looked_at(*keys)], NOW, dry_run=False)
    (found,) = document["keysets"]
    bare, read, unread = (each["certificate"] for each in found["keys"])
    assert bare is None
    assert read == {
        "subject": "CN=saml.contoso.com",
        "issuer": "CN=Contoso CA",
        "serial": "C0FFEE",
        "not_before": "2029-12-27T00:00:00Z",
        "not_after": "2031-01-01T00:00:00Z",
        "chain_not_after": "2030-01-31T00:00:00Z",
    }
    assert unread == dict.fromkeys(read)
