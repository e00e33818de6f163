"""The tenant that is there when nobody gives a seed: one keyset of every kind that matters."""

from pathlib import Path

from rotator.emulator.seed import Seed
from rotator.emulator.seed_file import parse_seed

DEMO_SEED = """\
tenants:
  - domain: contoso.onmicrosoft.com
    keysets:
      - id: B2C_1A_TokenSigningKeyContainer      # about to expire: due
        keys:
          - {use: sig, nbf: now-80d, exp: now+11d1h}
      - id: B2C_1A_HandMadeKeyContainer          # made by hand for two years
        keys:
          - {use: sig, nbf: now-200d, exp: now+530d}
      - id: B2C_1A_UndatedKeyContainer           # neither nbf nor exp: B2C's safety net
        keys:
          - {use: sig}
      - id: B2C_1A_EmptyKeyContainer             # created, and never given a key
      - id: B2C_1A_TokenEncryptionKeyContainer   # encrypts refresh tokens
        keys:
          - {use: enc, nbf: now-20d, exp: now+85d}
    policies:
      B2C_1A_signup_signin: [B2C_1A_TokenSigningKeyContainer]
      B2C_1A_hand_made: [B2C_1A_HandMadeKeyContainer]
"""


def demo_seed(now: float) -> Seed:
    """The demo tenant, as of *now*."""
    return parse_seed(DEMO_SEED, now, folder=Path(), name="the demo seed")
