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
                public_key_file: issuer.pem
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

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rotator.emulator.seed import (
    App,
    FederatedCredential,
    KeySeed,
    KeysetSeed,
    Secret,
    Seed,
    SeedError,
    TenantSeed,
)
from rotator.emulator.strict_yaml import StrictLoader
from rotator.emulator.switches import SwitchError, Switches, changed
from rotator.emulator.values import ValueMistakeError, parse_instant, typed_members

T = TypeVar("T")
_PATH = re.compile(r"\w[\w.\[\]-]*: ")  # what a mistake begins with that knows its place


def load_seed(path: Path, now: float) -> Seed:
    """
    The seed in a file; *now* is what relative instants start from.

    Raises:
        SeedError: one line, with the file and where in it the mistake is.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        msg = f"{path}: cannot be read: {reason}"
        raise SeedError(msg) from error
    return parse_seed(text, now, folder=path.parent, name=str(path))


def parse_seed(text: str, now: float, *, folder: Path, name: str) -> Seed:
    """The seed in a text; *name* stands before every mistake. Raises: SeedError."""
    try:
        data = yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a SafeLoader
        return _Reader(now, folder).seed(data)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        msg = f"{name}: {where}{getattr(error, 'problem', None) or 'this is no YAML'}"
        raise SeedError(msg) from error
    except SeedError as error:
        msg = f"{name}: {error}"
        raise SeedError(msg) from error


class _Reader:
    """Turns plain YAML data into the values of seed.py."""

    def __init__(self, now: float, folder: Path) -> None:
        self._now = now
        self._folder = folder

    def seed(self, data: object) -> Seed:
        top = _mapping(data, {"tenants"})
        if "tenants" not in top:
            msg = "tenants: is missing"
            raise SeedError(msg)
        return Seed(tenants=_each("tenants", top["tenants"], self._tenant))

    def _tenant(self, data: object) -> TenantSeed:
        known = {"domain", "id", "apps", "keysets", "policies", "switches"}
        members = _mapping(data, known)
        if "apps" in members:
            members["apps"] = _each("apps", members["apps"], self._app)
        if "keysets" in members:
            members["keysets"] = _each("keysets", members["keysets"], self._keyset)
        if "policies" in members:
            policies = _at("policies", lambda: _mapping(members["policies"], None))
            members["policies"] = {name: _each(f"policies.{name}", ids, _text) for name, ids in policies.items()}
        if "switches" in members:
            members["switches"] = _at("switches", lambda: _switches(members["switches"]))
        for name in members.keys() & {"domain", "id"}:
            _text_at(members, name)
        return TenantSeed(**members)

    def _app(self, data: object) -> App:
        known = {"client_id", "secrets", "certificates", "federated", "roles"}
        members = _mapping(data, known)
        if "client_id" in members:
            _text_at(members, "client_id")
        readers: dict[str, Callable[[object], object]] = {
            "secrets": self._secret,
            "certificates": self._certificate,
            "federated": self._federated,
            "roles": _text,
        }
        for name, reader in readers.items():
            if name in members:
                members[name] = _each(name, members[name], reader)
        return App(**members)

    def _secret(self, data: object) -> Secret:
        members = _mapping(data, {"value", "file", "expires"})
        if ("value" in members) == ("file" in members):
            msg = "a secret has either a value or a file"
            raise SeedError(msg)
        if "file" in members:
            value = _at("file", lambda: self._file(members["file"])).strip()
        else:
            value = _text_at(members, "value")
        return Secret(value=value, expires=self._instant("expires", members))

    def _certificate(self, data: object) -> str:
        pem = self._file(data)
        try:
            x509.load_pem_x509_certificate(pem.encode())
        except ValueError as error:
            msg = f"{data} holds no PEM certificate"
            raise SeedError(msg) from error
        return pem

    def _federated(self, data: object) -> FederatedCredential:
        members = _mapping(data, {"issuer", "subject", "audience", "public_key_file"})
        for name in ("issuer", "subject", "public_key_file"):
            if name not in members:
                msg = f"{name}: is missing"
                raise SeedError(msg)
            _text_at(members, name)
        pem = _at("public_key_file", lambda: self._file(members.pop("public_key_file")))
        try:
            load_pem_public_key(pem.encode())
        except ValueError as error:
            msg = "public_key_file: holds no PEM public key"
            raise SeedError(msg) from error
        return FederatedCredential(public_key=pem, **members)

    def _keyset(self, data: object) -> KeysetSeed:
        members = _mapping(data, {"id", "keys"})
        if "id" not in members:
            msg = "id: is missing"
            raise SeedError(msg)
        _text_at(members, "id")
        if "keys" in members:
            members["keys"] = _each("keys", members["keys"], self._key)
        return KeysetSeed(**members)

    def _key(self, data: object) -> KeySeed:
        members = _mapping(data, {"use", "kty", "nbf", "exp", "status", "kid"})
        for name in members.keys() & {"nbf", "exp"}:
            members[name] = self._instant(name, members)
        try:
            return KeySeed(**typed_members(KeySeed, members))
        except ValueMistakeError as error:
            raise SeedError(str(error)) from error

    def _instant(self, name: str, members: dict[str, Any]) -> int | None:
        if members.get(name) is None:
            return None
        try:
            return parse_instant(members[name], self._now)
        except ValueMistakeError as error:
            msg = f"{name}: {error}"
            raise SeedError(msg) from error

    def _file(self, data: object) -> str:
        path = self._folder / _text(data)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            msg = f"{path} cannot be read: {reason}"
            raise SeedError(msg) from error


def _mapping(data: object, known: set[str] | None) -> dict[str, Any]:
    """*data* as a mapping of texts; *known* None: any member goes."""
    if not isinstance(data, dict):
        msg = "here belongs a mapping"
        raise SeedError(msg)
    for name in data:
        if not isinstance(name, str) or (known is not None and name not in known):
            listed = f"; there are {', '.join(sorted(known))}" if known else ""
            msg = f"{name}: there is no such member{listed}"
            raise SeedError(msg)
    return dict(data)


def _each(path: str, data: object, read: Callable[[object], T]) -> tuple[T, ...]:
    """*read* applied to each item of a list, mistakes told with its place."""
    if not isinstance(data, list):
        msg = f"{path}: here belongs a list"
        raise SeedError(msg)
    return tuple(_at(f"{path}[{place}]", partial(read, item)) for place, item in enumerate(data))


def _at(path: str, read: Callable[[], T]) -> T:
    """What *read* returns; its mistakes are told with *path* before them."""
    try:
        return read()
    except SeedError as error:
        told = str(error)
        msg = f"{path}.{told}" if _PATH.match(told) else f"{path}: {told}"
        raise SeedError(msg) from error


def _text(data: object) -> str:
    if not isinstance(data, str) or not data:
        msg = "here belongs a text"
        raise SeedError(msg)
    return data


def _text_at(members: dict[str, Any], name: str) -> str:
    return _at(name, lambda: _text(members[name]))


def _switches(data: object) -> Switches:
    try:
        return changed(Switches(), _mapping(data, None))
    except SwitchError as error:
        raise SeedError(str(error)) from error
