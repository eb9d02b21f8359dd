"""One catalogue for each language: sentences by key, and how numbers are written.

A part of the system that has something to tell a person gives a `Message`, a key and its values; only who shows it
knows the language. JSON, CSV, logs and errors have no language of a person: they stay English.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

Language = Literal["vi", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
# What the other separates is never a space: a number does not break over two lines.
_SEPARATORS: Final[Mapping[Language, tuple[str, str]]] = {"en": (",", "."), "vi": (".", ",")}
NONE: Final = "–"
Values = Mapping[str, object]


class Message(NamedTuple):
    """What is to be told: a key of the catalogues, and the values of its place-holders."""

    key: str
    values: Values = MappingProxyType({})


def message(key: str, /, **values: object) -> Message:
    """Return a message."""
    return Message(key, values)


class Texts:
    """The catalogue of one language; calling it with a key and values gives the sentence."""

    def __init__(self, language: Language, sentences: Mapping[str, str]) -> None:
        self.language, self.sentences = language, sentences

    def __call__(self, key: str, /, **values: object) -> str:
        """Return a sentence; numbers among the values are written as the language does, fractions with one decimal.

        Raises:
            KeyError: the catalogue has no such key, or the sentence needs another value.

        """
        return self.sentences[key].format_map({name: self._written(value) for name, value in values.items()})

    def say(self, told: Message) -> str:
        """Return a message's sentence."""
        return self(told.key, **told.values)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with so many decimals: 13,039 or 13.039, 0.5 or 0,5."""
        thousands, point = _SEPARATORS[self.language]
        return f"{value:,.{digits}f}".translate({ord(","): thousands, ord("."): point})

    def percent(self, share: float | None, digits: int = 2) -> str:
        """Return a share as percentage; a dash where there is none."""
        return NONE if share is None else f"{self.number(100 * share, digits)} %"

    def name(self, named: object) -> str:
        """Return the name, in this language, of what has both."""
        return self.of(named, "name")

    def of(self, described: object, attribute: str) -> str:
        """Return an attribute that ends in `_vi` and `_en`, in this language."""
        return str(getattr(described, f"{attribute}_{self.language}"))

    def _written(self, value: object) -> object:
        if isinstance(value, Message):
            return self.say(value)
        if isinstance(value, list):
            return ", ".join(str(self._written(each)) for each in value)
        if isinstance(value, int) and not isinstance(value, bool):
            return self.number(value)
        if isinstance(value, float):
            return self.number(value, 1)
        return value


@cache
def texts(language: Language) -> Texts:
    """Return the catalogue of a language."""
    parsed = tomllib.loads(files(__package__).joinpath(f"{language}.toml").read_text("utf-8"))
    return Texts(language, dict(_flat(parsed)))


def _flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, str(value))]
    return pairs


def language_of(environment: Mapping[str, str]) -> Language:
    """Return the language of a locale, as POSIX orders its variables: the first that is set decides."""
    named = next(filter(None, (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "vi" if named.lower().startswith("vi") else "en"
