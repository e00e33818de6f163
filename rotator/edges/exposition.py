"""The subset of Prometheus' text format that the series of keysets need (exposition formats, text-based format)."""

from collections.abc import Iterable, Iterator

from rotator.core.status import Name

Labels = tuple[str, str]
"""`keyset="..."` and `tenant="..."`; other labels come in between, so that all are in alphabetical order."""


def keyset_labels(name: Name) -> Labels:
    """The labels of a keyset."""
    return f'keyset="{escaped(name[1])}"', f'tenant="{escaped(name[0])}"'


def gauge(name: str, text: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    """The lines of one gauge, each with its end; *samples* are labels and values."""
    yield f"# HELP {name} {text}\n# TYPE {name} gauge\n"
    for labels, value in samples:
        yield f"{name}{{{labels}}} {float(value)!r}\n"


def counter(name: str, text: str, samples: Iterable[tuple[str, float]], *, is_openmetrics: bool) -> Iterator[str]:
    """The lines of one counter, each with its end; *name* without `_total`, which only OpenMetrics leaves out."""
    family = name if is_openmetrics else f"{name}_total"
    yield f"# HELP {family} {text}\n# TYPE {family} counter\n"
    for labels, value in samples:
        yield f"{name}_total{{{labels}}} {float(value)!r}\n"


def escaped(value: str) -> str:
    """A label's value, escaped for the format."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
