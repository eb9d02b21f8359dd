"""Every setting of a service is described, documented and its own."""

from importlib import import_module

import pytest
from pydantic_settings import BaseSettings

from tests.support.source import ROOT, modules
from tools.settings_page import SETTINGS, settings_page


def declared() -> set[type[BaseSettings]]:
    found = set()
    for path in modules("services", "paperless/planner"):
        if path.stem.endswith("settings"):
            module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            found |= {
                value
                for value in vars(module).values()
                if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == module.__name__
            }
    return found


def test_every_settings_class_is_documented():
    assert set(SETTINGS) == declared()


def test_the_settings_page_is_that_of_the_classes():
    assert (ROOT / "docs/settings.md").read_text("utf-8") == settings_page(), "run make generate"


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_every_setting_says_what_it_does(settings):
    for name, field in settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_settings_are_frozen_and_refuse_strangers(settings):
    assert settings.model_config["frozen"] is True
    assert settings.model_config["extra"] == "forbid"
    assert settings.__doc__


def test_no_two_services_share_a_variable():
    prefixes = [settings.model_config["env_prefix"] for settings in SETTINGS]
    assert len(set(prefixes)) == len(prefixes)
    names = [
        f"{prefix}{name}".upper() for prefix, cls in zip(prefixes, SETTINGS, strict=True) for name in cls.model_fields
    ]
    assert len(set(names)) == len(names)


def test_no_default_ports_collide():
    ports = [settings.model_fields["http_port"].default for settings in SETTINGS]
    assert len(set(ports)) == len(ports)
