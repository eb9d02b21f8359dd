"""The documentation's page on settings, from the settings classes."""

from collections.abc import Iterator, Mapping

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from paperless.planner.settings import PlannerSettings
from runtime.settings import SECRETS
from services.intake.settings import IntakeSettings
from services.portal.settings import PortalSettings
from services.scoring.api.settings import ScoringApiSettings
from services.scoring.settings import ScoringSettings
from services.vneid_mock.settings import VneidSettings

SETTINGS: tuple[type[BaseSettings], ...] = (
    PortalSettings,
    IntakeSettings,
    VneidSettings,
    ScoringSettings,
    ScoringApiSettings,
    PlannerSettings,
)
HEAD = """\
# Settings

Written by `make generate` from the settings classes; do not edit. A service reads them from environment variables.
"""


def files() -> Mapping[str, str]:
    """Return the page by its path in the project."""
    return {"docs/settings.md": settings_page()}


def settings_page() -> str:
    """Return the documentation's page on settings: one table per service."""
    return "\n".join([HEAD, *(line for settings in SETTINGS for line in _section(settings))])


def _section(settings: type[BaseSettings]) -> Iterator[str]:
    prefix = settings.model_config["env_prefix"]
    yield f"## {prefix}*"
    yield ""
    yield (settings.__doc__ or "").strip()
    yield ""
    yield "| variable | default | bounds | meaning |"
    yield "|---|---|---|---|"
    for name, field in settings.model_fields.items():
        yield f"| `{prefix}{name.upper()}` | {_default(field)} | {_bounds(field)} | {field.description} |"
        if field.annotation in SECRETS:
            yield f"| `{prefix}{name.upper()}_FILE` | none |  | A file that holds it, where the variable is not set. |"
    yield ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        return f"`{value.get_secret_value()}` (secret)"
    return "none" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _bounds(field: FieldInfo) -> str:
    """Return the constraints as they stand in the field: `ge=1, le=9`."""
    bounds = [
        f"{name}={value}"
        for constraint in field.metadata
        for name in ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern")
        if (value := getattr(constraint, name, None)) is not None
    ]
    return f"`{', '.join(bounds).replace('|', chr(92) + '|')}`" if bounds else ""
