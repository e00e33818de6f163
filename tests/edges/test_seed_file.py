"""Seed files from anybody: whatever is in one, it ends in one line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rotator.core.errors import ConfigError
from rotator.edges.seed_file import MAX_KEYS, read_seed

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HUGE = "0x" + "f" * 5000  # more digits than Python converts to decimal text


def complaint(folder: Path, content: str) -> str:
    path = folder / "seed.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_seed(path, NOW)
    text = str(error.value)
    assert text.isprintable()
    assert len(text) <= len(str(path)) + 200
    return text.removeprefix(f"{path}: ")


def with_key(key: str) -> str:
    return f"tenants: [{{domain: a.example, keysets: [{{id: B2C_1A_X, keys: [{{{key}}}]}}]}}]"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (f"nbf: {HUGE}", "line 1, column 69: not a valid int"),
        (f"kid: {HUGE}", "line 1, column 69: not a valid int"),
        ("nbf: 0001-01-01T00:00:00+14:00", "tenants[0].keysets[0].keys[0].nbf: is not an instant"),
        ("nbf: 0001-01-01T00:00:00Z", "tenants[0].keysets[0].keys[0].nbf: is not an instant between 1970 and 5138"),
        ("exp: 9999-12-31T23:59:59Z", "tenants[0].keysets[0].keys[0].exp: is not an instant between 1970 and 5138"),
        ("exp: -1", "tenants[0].keysets[0].keys[0].exp: is not an instant between 1970 and 5138"),
        ("exp: .nan", "tenants[0].keysets[0].keys[0].exp: is not an instant"),
        ('exp: "now+99999999999999999999d"', "tenants[0].keysets[0].keys[0].exp: 'now+99999999999999999999d' is not"),
        (f"exp: [{'x, ' * 5000}]", "tenants[0].keysets[0].keys[0].exp: is not an instant"),
        (f"exp: {'s' * 5000}", "tenants[0].keysets[0].keys[0].exp: is not an instant"),
        ('exp: "\\e[2J\\u202e"', "tenants[0].keysets[0].keys[0].exp: '\\x1b[2J\\u202e' is not an instant"),
        ("kid: [a, b]", "tenants[0].keysets[0].keys[0].kid: must be a text of at most 512 characters"),
        (f"kid: {'k' * 513}", "tenants[0].keysets[0].keys[0].kid: must be a text of at most 512 characters"),
        ("use: {a: b}", "tenants[0].keysets[0].keys[0].use: must be a text of at most 512 characters"),
        ("kty: !!binary aGVsbG8=", "tenants[0].keysets[0].keys[0].kty: must be a text of at most 512 characters"),
        ('kid: "\\ud800"', "tenants[0].keysets[0].keys[0].kid: must be a text"),
    ],
    ids=lambda text: text[:40],
)
def test_key_that_is_not_valid(tmp_path: Path, key: str, problem: str) -> None:
    """The member is named, and what is long or no text is not repeated."""
    assert complaint(tmp_path, with_key(key)).startswith(problem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"tenants: [{{domain: {HUGE}}}]", "line 1, column 20: not a valid int"),
        ("tenants: [{domain: [a]}]", "tenants[0].domain: must be a text of at most 512 characters"),
        ("tenants: [{domain: a, keysets: [{id: []}]}]", "tenants[0].keysets[0].id: must be a text"),
        ("tenants: &a [*a]", "line 1, column 10: an alias that contains itself"),
        ("tenants: " + "[" * 20_000, "is not valid YAML"),
        ("tenants: {a: b}", "tenants: must be a list"),
        ("tenants: [[]]", "tenants[0]: must be a mapping"),
        ("&k {? [a] : b}", "line 1, column 7: found unhashable key"),
    ],
    ids=lambda text: text[:40],
)
def test_seed_of_a_strange_form(tmp_path: Path, content: str, problem: str) -> None:
    """However strange, it is refused where it goes wrong."""
    assert complaint(tmp_path, content).startswith(problem)


def test_more_keys_than_a_keyset_has(tmp_path: Path) -> None:
    """The same limit as for an answer of Graph: a simulation looks at every key at each instant."""
    keys = "{nbf: now-1d, exp: now+1d}, "
    assert complaint(
        tmp_path, f"tenants: [{{domain: a, keysets: [{{id: B2C_1A_X, keys: [{keys * (MAX_KEYS + 1)}]}}]}}]"
    ) == (f"tenants[0].keysets[0].keys: has more than {MAX_KEYS} keys")


def test_alias_product(tmp_path: Path) -> None:
    """Aliases are counted before anything is built of them."""
    lines = ["k0: &k0 [{nbf: now}, {nbf: now}, {nbf: now}]"]
    lines += [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "with its aliases it has more than" in complaint(tmp_path, "\n".join(lines))
