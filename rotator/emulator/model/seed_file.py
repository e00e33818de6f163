"""
Seeds in YAML.

What may stand there, with everything written out::

    tenants:
      - domain: contoso.onmicrosoft.com
        id: 3a2f9a04-6b2c-4a58-9a9d-9f7f4be2d1c5    # not given: follows from the domain
        apps:                                        # not given: the demo app, which may write
          - client_id: 11111111-2222-4333-8444-555555555555
            secrets:
              - value: emulator-secret
              - {file: old-secret, expires: now-1d}
            certificates: [client.pem]               # PEM, certificate only
            federated:
              - issuer: https://issuer.example
                subject: system:serviceaccount:rotator:rotator
                audience: api://AzureADTokenExchange # the default
                public_key_file: issuer.pem          # or public_key: the PEM itself
            roles: [TrustFrameworkKeySet.ReadWrite.All]
        keysets:
          - id: B2C_1A_TokenSigningKeyContainer
            keys:                                    # in the order in which they were added
              - {use: sig, kty: RSA, nbf: now-80d, exp: now+11d1h}
              - {kid: hand-made, nbf: 2025-01-01T00:00:00Z, exp: 1893456000, status: disabled}
              - {}                                   # undated
        policies:                                    # which keysets a policy's JWKS shows
          B2C_1A_signin: [B2C_1A_TokenSigningKeyContainer]
        switches: {read_after_write_delay: 3}

Files are relative to the seed. A member that is unknown, or there twice, is a mistake;
every mistake is one line that names the file and the path in it.
"""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from rotator.emulator.model.seed import Seed, SeedError
from rotator.emulator.validation import JsonForm, Source

_FORM: JsonForm[Seed] = JsonForm(Seed, SeedError)


def load_seed(path: Path, now: float) -> Seed:
    """The seed in a file; relative instants count from *now*. Raises: SeedError, with the file and the path in it."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
        return _parse_seed(data, Source(now=now, folder=path.parent))
    except (OSError, UnicodeDecodeError) as error:
        raise SeedError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SeedError(f"{path}: {where}{getattr(error, 'problem', None) or 'not valid YAML'}") from error
    except SeedError as error:
        raise SeedError(f"{path}: {error}") from error
    except (TypeError, ValueError, RecursionError) as error:
        what = "a set, binary data, or an alias of itself"
        raise SeedError(f"{path}: holds something that JSON does not have: {what}") from error


def _parse_seed(data: object, source: Source) -> Seed:
    if isinstance(data, dict) and "tenants" not in data:  # which have a default, but not in a file
        raise SeedError("tenants: is missing")
    return _FORM.read(json.dumps(data), source)


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key may stand once, and instants stay texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own shape
        first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                problem = f"duplicate key {key}"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
