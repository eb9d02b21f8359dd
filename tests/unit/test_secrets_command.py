"""`paperless secrets`: what a system needs to start with, made once and never shown."""

import pytest

from tests.support.cli_runs import Paperless, paperless_in


@pytest.fixture
def paperless(monkeypatch, capsys, tmp_path) -> Paperless:
    monkeypatch.chdir(tmp_path)
    return paperless_in(monkeypatch, capsys)


def test_each_missing_secret_is_made_once(paperless, tmp_path):
    names = ("intake/signing_key", "scoring/store_password")
    first = paperless("secrets", *names)
    made = {name: (tmp_path / "deploy/secrets" / name).read_text() for name in names}
    second = paperless("secrets", *names)
    assert (first.code, second.code) == (0, 0)
    assert [line.split()[-1] for line in (first.out + second.out).splitlines()] == ["created"] * 2 + ["present"] * 2
    assert made == {name: (tmp_path / "deploy/secrets" / name).read_text() for name in names}


def test_secrets_differ_and_fit_where_they_are_used(paperless, tmp_path):
    paperless("secrets", "--dir", tmp_path, "a", "b")
    a, b = ((tmp_path / name).read_text() for name in "ab")
    assert a != b
    assert len(a) == 43
    assert len(a) <= 64, "intake's signing key"
    assert a.replace("-", "").replace("_", "").isalnum(), "no quoting in a URL, a shell or SQL"


def test_a_secret_is_not_shown_and_not_readable_by_all(paperless, tmp_path):
    ended = paperless("secrets", "--dir", tmp_path, "key")
    assert (tmp_path / "key").read_text() not in ended.out + ended.err
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o440


def test_a_secret_of_the_operator_stays_as_it_is(paperless, tmp_path):
    (tmp_path / "key").write_text("mine")
    assert paperless("secrets", "--dir", tmp_path, "key").out == "key: present\n"
    assert (tmp_path / "key").read_text() == "mine"


def test_an_empty_secret_is_refused(paperless, tmp_path):
    (tmp_path / "key").touch()
    ended = paperless("secrets", "--dir", tmp_path, "key")
    assert ended.code == 2
    assert "key: the file is empty; remove it, or put the secret into it" in ended.error


def test_a_folder_that_cannot_be_written_is_named(paperless, tmp_path):
    (tmp_path / "file").touch()
    ended = paperless("secrets", "--dir", tmp_path / "file", "key")
    assert ended.code == 2
    assert f"secret {tmp_path / 'file' / 'key'}" in ended.error
