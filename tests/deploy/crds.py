"""
Schemas of the two kinds of prometheus-operator that the chart makes, for the fields that it uses.

Azure's managed Prometheus has a PodMonitor of the same fields, in a group of its own.

Written by hand after the operator's CustomResourceDefinitions (0.82), since what validates
the rest knows no CRDs. Whatever field is not here is refused: look it up, and add it.
"""

from typing import Any

Json = dict[str, Any]

_SPAN = {
    "type": "string",
    "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
}
_WORDS = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(required: tuple[str, ...], **properties: Json) -> Json:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def _list(items: Json) -> Json:
    return {"type": "array", "minItems": 1, "items": items}


def _kind(kind: str, spec: Json, *groups: str) -> Json:
    metadata = _object(("name", "namespace"), name=_NAME, namespace=_NAME, labels=_WORDS, annotations=_WORDS)
    version = {"enum": [f"{group}/v1" for group in ("monitoring.coreos.com", *groups)]}
    return _object(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion=version,
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )


_NAME = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
_ENDPOINT = _object(
    ("port",),
    port={"type": "string", "minLength": 1},
    path={"type": "string", "pattern": "^/"},
    interval=_SPAN,
)
_RULE = {
    **_object(
        ("expr",),
        record={"type": "string", "pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$"},
        alert={"type": "string", "minLength": 1},
        expr={"type": "string", "minLength": 1},
        labels=_WORDS,
        annotations=_WORDS,
        **{"for": _SPAN, "keep_firing_for": _SPAN},
    ),
    "oneOf": [{"required": ["record"]}, {"required": ["alert"]}],
}
_GROUP = _object(
    ("name", "rules"), name={"type": "string", "minLength": 1}, interval=_SPAN, labels=_WORDS, rules=_list(_RULE)
)

SCHEMAS = {
    "PodMonitor": _kind(
        "PodMonitor",
        _object(
            ("selector", "podMetricsEndpoints"),
            selector=_object(("matchLabels",), matchLabels=_WORDS),
            podMetricsEndpoints=_list(_ENDPOINT),
        ),
        "azmonitoring.coreos.com",
    ),
    "PrometheusRule": _kind("PrometheusRule", _object(("groups",), groups=_list(_GROUP))),
}
"""By kind."""
