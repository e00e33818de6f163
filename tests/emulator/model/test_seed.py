# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""Seeds as values: their defaults, and the demo tenant."""

from emulator.harness import NOW

from rotator.emulator.model.seed import (
    WRITE_ROLE,
    TenantSeed,
    demo_app,
    demo_seed,
)


def test_defaults():
    """A tenant that says nothing has an app that may write, and an id that does not change."""
    tenant = TenantSeed()
    assert tenant.apps == (demo_app(),)
    assert tenant.apps[0].roles == (WRITE_ROLE,)
    assert tenant.id == TenantSeed().id != TenantSeed(domain="x.y").id


def test_demo_seed():
    """The demo tenant has a keyset of every kind that matters."""
    (tenant,) = demo_seed(NOW).tenants
    kinds = {keyset.id: [(key.use, key.nbf is not None) for key in keyset.keys] for keyset in tenant.keysets}
    assert kinds == {
        "B2C_1A_TokenSigningKeyContainer": [("sig", True)],
        "B2C_1A_HandMadeKeyContainer": [("sig", True)],
        "B2C_1A_UndatedKeyContainer": [("sig", False)],
        "B2C_1A_EmptyKeyContainer": [],
        "B2C_1A_TokenEncryptionKeyContainer": [("enc", True)],
    }
