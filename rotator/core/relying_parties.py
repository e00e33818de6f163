"""
How long relying parties go on trusting a key that the JWKS lists no more.

Source: the sources and documentation of each; see docs/proof.md.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """A kind of relying party; *forgets_after*: None where it needs an unknown kid or a restart."""

    name: str
    forgets_after: timedelta | None


RELYING_PARTIES = (
    RelyingParty("Apigee, Spring (servlet), PyJWT", timedelta(minutes=5)),
    RelyingParty("Envoy, jwks-rsa and jose (Node)", timedelta(minutes=10)),
    RelyingParty("Istio", timedelta(minutes=20)),
    RelyingParty("Azure API Management, AWS API Gateway (REST), keyfunc (Go)", timedelta(hours=1)),
    RelyingParty("AWS API Gateway (HTTP)", timedelta(hours=2)),
    RelyingParty("Microsoft.IdentityModel from 6.10 (ASP.NET)", timedelta(hours=13, minutes=36)),
    RelyingParty("Microsoft.IdentityModel before 6.10, TIBCO EMS", timedelta(hours=24)),
    RelyingParty("go-oidc, Authlib, Spring (reactive), caches without an end", None),
)
