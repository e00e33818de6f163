"""The JSON Schema of the configuration file, for editors."""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from rotator.core.text import format_span
from rotator.edges.settings import Settings

SCHEMA_ID = "urn:rotator:configuration:1"
"""The `$id` of the schema. `rotator config schema` prints the schema; it cannot be fetched by this id."""


class _Generator(GenerateJsonSchema):
    """Renders spans in the form of the file."""

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - pydantic's own
        """A default in the form of the file."""
        return format_span(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema() -> dict[str, Any]:
    """The schema; every default in it is a valid value."""
    found = Settings.model_json_schema(schema_generator=_Generator)
    del found["required"]  # only tenants, which can also be in a directory
    found["anyOf"] = [{"required": ["tenants"]}, {"required": ["tenants_directory"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **found}
