"""
The words of the status page with their meanings, for its legend.

The sentences are those of docs/glossary.md, so that the page needs no other document; a test compares them.
"""

TERMS = {
    "keyset": (
        "A named list of keys in a B2C tenant that policies refer to; the portal calls it a policy "
        "key or key container."
    ),
    "active": "The one valid key that B2C signs or encrypts with now: the valid dated key with the latest nbf.",
    "upcoming": "A key that becomes active later.",
    "retained": "A valid key that is not the active one: tokens that it signed still verify.",
    "published": "Visible to relying parties in the JWKS.",
    "covered until": (
        "The instant at which the chain ends and users can no longer sign in, unless another key is generated."
    ),
    "renewal window": "The time in which the next key is generated.",
    "due": "In the renewal window, or past it: the next key should be generated.",
    "publish by": "The end of the renewal window: a key that is generated later has a shorter publication lead.",
    "publication lead": "The time from the generation of a key until it takes over, in which relying parties fetch it.",
    "takes over": "The instant at which a key becomes the active one.",
    "overlap": "The time during which the predecessor is still valid after its successor took over.",
    "overdue": "The publication lead, the overlap or the cover is too short, or will be.",
    "look": "One successful or failed attempt to read a keyset, and the decision on what it shows.",
    "second look": "The look right before a key is requested, at least settle after the first look that called for it.",
    "on hold": "The configuration holds the keyset, so no key is generated.",
    "leader": "The one replica that looks at keysets and writes.",
    "follower": "A replica that only waits to become the leader; the page calls it a standby replica.",
}
"""Each term with its sentence, in the order of the legend."""
