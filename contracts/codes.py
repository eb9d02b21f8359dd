"""What names the codes of the domain in a JSON Schema, for those who read it."""

from typing import Any, Literal

from pydantic import Field

from domain import load_domain


def listed(table: Literal["provinces", "procedures", "databases"]) -> Any:
    """Return a field's annotation that lists the codes of a table as `enum`.

    For the schema only: whoever reads a value checks it, and can name the near ones. The domain is loaded when a schema
    is asked for.
    """

    def name_codes(schema: dict[str, Any]) -> None:
        schema["enum"] = sorted(getattr(load_domain(), table))

    return Field(json_schema_extra=name_codes)
