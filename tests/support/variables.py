"""Environment variables as deployment files set them, held against what the programs read."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from certifi import where
from pydantic_settings import BaseSettings

from paperless.cli.main import app as paperless
from paperless.cli.options import ClientSettings
from paperless.cli.signposts import ShownSettings
from paperless.loading import LOADING
from paperless.operations.preflight import VARIABLE
from paperless.verification.scoring_client import Tokens
from tests.support.command_tree import commands_of
from tools.settings_page import SETTINGS

# Whatever a program is told by others' conventions, not by ours.
FOREIGN = re.compile(r"(OTEL|KAFKA|POSTGRES|PG|PROMETHEUS|GF|COLLECTOR|PYTHON|TZ)")
# The module that runs, and the settings that it reads.
BY_PREFIX = {str(settings.model_config["env_prefix"]): settings for settings in (*SETTINGS,)}
READ_BY = {
    "services.portal": "PORTAL_",
    "services.intake": "INTAKE_",
    "services.vneid_mock": "VNEID_",
    "services.scoring": "SCORING_",
    "services.scoring.store.migrate": "SCORING_",
    "services.scoring.store.publication": "SCORING_",
    "services.scoring.store.retention": "SCORING_",
    "services.scoring.api": "SCORING_API_",
    "paperless.planner": "PLANNER_",
    "paperless": "PAPERLESS_",
}


def variables_of(settings: type[BaseSettings]) -> set[str]:
    prefix = settings.model_config["env_prefix"]
    names = {f"{prefix}{name}".upper() for name in settings.model_fields}
    secret = {
        f"{prefix}{name}_FILE".upper()
        for name, field in settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    return names | secret


def known(prefix: str) -> set[str]:
    """Return every variable that the programs with this prefix read."""
    if prefix in BY_PREFIX:
        return variables_of(BY_PREFIX[prefix])
    settings: tuple[type[BaseSettings], ...] = (ClientSettings, Tokens, ShownSettings)
    return {LOADING}.union(_of_options(), *map(variables_of, settings))


def _of_options() -> Iterator[str]:
    for _, command in commands_of(paperless):
        for parameter in command.params:
            named = parameter.envvar or ()
            yield from [named] if isinstance(named, str) else named


def program_of(command: list[str]) -> str:
    """Return what a container runs: a module of ours, `paperless`, or nothing of ours."""
    words = command[2:3] if command[:2] == ["python", "-m"] else command[:1]
    return next((word for word in words if word in READ_BY), "")


def unread_variables(command: list[str], environment: Mapping[str, str]) -> set[str]:
    """Return the variables that the program of a container does not read."""
    prefix = READ_BY[program_of(command)]
    ports = VARIABLE.fullmatch if command[:2] == ["paperless", "preflight"] else FOREIGN.match
    return {name for name in environment if not FOREIGN.match(name) and not ports(name)} - known(prefix)


def parsed(command: list[str], environment: Mapping[str, str], secret: Path) -> BaseSettings:
    """Return the settings that a container would have; `secret` stands for every file that it names."""
    certificates = {name for name in environment if name.endswith("_CA_FILE")}
    files = {name: where() if name in certificates else str(secret) for name in environment if name.endswith("_FILE")}
    with mock.patch.dict(os.environ, {**environment, **files}):
        return BY_PREFIX[READ_BY[program_of(command)]]()


class ComposeLoader(yaml.SafeLoader):
    """Compose's own tags (`!reset`, `!override`) replace a value; what they hold is what counts here."""


def _untagged(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


ComposeLoader.add_multi_constructor("!", _untagged)


def interpolated(text: str) -> str:
    """Return a text with Compose's `${NAME:-default}` replaced by the defaults."""
    return re.sub(r"\$\{[A-Z0-9_]+(?::?-([^}]*))?\}", lambda found: found[1] or "", text)
