"""How numbers and messages are said, and whose language a command speaks."""

from typing import get_args

import pytest

from contracts.events import Answer, Cause, Outcome, Source
from paperless.language import LANGUAGES, language_of, message, texts


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "vi_VN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "vi"}, "vi"),
        ({"LANG": "vi_VN.UTF-8", "LC_ALL": ""}, "vi"),
    ],
)
def test_the_first_variable_of_a_locale_that_is_set_decides(environment, language):
    assert language_of(environment) == language


@pytest.mark.parametrize(
    ("language", "number", "fraction", "share"),
    [("en", "13,039", "1,234.5", "13.05 %"), ("vi", "13.039", "1.234,5", "13,05 %")],
)
def test_numbers_are_written_as_the_language_does(language, number, fraction, share):
    said = texts(language)
    assert (said.number(13_039), said.number(1234.54, 1), said.percent(0.130523)) == (number, fraction, share)
    assert said("verifying.moved", count=13_039, partition=2).count(number) == 1
    assert fraction in said("note.slip", p99=1234.54)


def test_a_message_holds_other_messages():
    services = [
        message("backlog.service", service="intake", records=1_200),
        message("backlog.service", service="x", records=1),
    ]
    told = message("backlog.left", records=1_201, services=services)
    assert texts("en").say(told) == "1,201 records to go (intake 1,200, x 1)"
    assert texts("vi").say(told) == "còn 1.201 bản ghi (intake 1.200, x 1)"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("group", "vocabulary"),
    [("answer", Answer), ("source", Source), ("cause", Cause), ("outcome", Outcome)],
)
def test_every_word_of_a_vocabulary_has_a_name(language, group, vocabulary):
    said = texts(language)
    names = [said(f"{group}.{word}") for word in get_args(vocabulary)]
    assert all(names)
    assert len(set(names)) == len(names)
