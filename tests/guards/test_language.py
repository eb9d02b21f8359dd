"""The catalogues say the same in both languages, and every sentence that the code asks for is in them."""

import ast
import re
from collections.abc import Iterator
from string import Formatter

import pytest

from paperless.language import LANGUAGES, texts
from tests.support.source import modules, name_of, tree_of

# What a word of the other language would show: names of things that both call the same are not among them.
VIETNAMESE = re.compile(r"[ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ]", re.IGNORECASE)
ENGLISH = re.compile(r"\b(the|of|and|is|are|was|not|with|for|all|to|in|by|an)\b")
# The language of the command itself, and a term of the literature.
QUOTED = re.compile(r"`[^`]*`|\{command\}[^,(]*|coordinated omission|open loop")
KEY = re.compile(r"^[a-z_]+\.[a-z0-9_.]+$")
# Functions that are given a key of the catalogues first.
ASKING = {"say", "texts", "message", "told_in", "enter", "Plain"}


def place_holders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def asked() -> Iterator[tuple[str, str]]:
    """Yield module and key of every sentence that the code asks for by a key that stands there."""
    for path in modules():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                key = node.args[0].value
                if name in ASKING and isinstance(key, str) and KEY.match(key):
                    yield name_of(path), key


def test_both_languages_have_the_same_sentences_with_the_same_place_holders():
    vi, en = texts("vi").sentences, texts("en").sentences
    assert list(vi) == list(en)
    assert {key: place_holders(said) for key, said in vi.items()} == {
        key: place_holders(said) for key, said in en.items()
    }


def test_every_sentence_that_the_code_asks_for_is_there():
    wanted = list(asked())
    assert len(wanted) > 100
    assert [(path, key) for path, key in wanted if key not in texts("en").sentences] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_mixes_languages(language):
    stranger = ENGLISH if language == "vi" else VIETNAMESE
    said = {key: QUOTED.sub("", sentence) for key, sentence in texts(language).sentences.items()}
    assert {key: sentence for key, sentence in said.items() if stranger.search(re.sub(r"\{\w+\}", "", sentence))} == {}
