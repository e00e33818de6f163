"""The JSON Schema of the configuration file, for editors."""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from rotator.core.text import format_span
from rotator.edges.settings import Settings

SCHEMA_ID = "urn:rotator:configuration:1"
"""Names the schema; it is printed by the program, and not fetched from anywhere."""


class _Generator(GenerateJsonSchema):
    """Writes spans as the file does."""

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - pydantic's own
        """A default as it would stand in the file."""
        return format_span(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema() -> dict[str, Any]:
    """The schema; every default in it is a valid value."""
    found = Settings.model_json_schema(schema_generator=_Generator)
    found["required"].remove("tenants")
    found["anyOf"] = [{"required": ["tenants"]}, {"required": ["tenants_directory"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **found}
