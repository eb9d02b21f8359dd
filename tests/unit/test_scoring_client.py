"""The command shows its token to a guarded API, and says where a missing one should be."""

import httpx
import pytest
from pydantic import SecretStr

from paperless.verification.scoring_client import ApiTokenError, authorization
from runtime.http_guard import TokenGuard, token_digests

TOKEN = "a-token-of-the-operator"


def test_without_a_token_nothing_is_shown(monkeypatch):
    monkeypatch.delenv("PAPERLESS_API_TOKEN", raising=False)
    monkeypatch.delenv("PAPERLESS_API_TOKEN_FILE", raising=False)
    assert authorization() == {}


def test_the_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("PAPERLESS_API_TOKEN", TOKEN)
    assert authorization() == {"authorization": f"Bearer {TOKEN}"}


def test_the_newest_token_of_the_apis_own_file_is_shown(monkeypatch, tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"an-older-token-of-it\n{TOKEN}\n", "utf-8")
    monkeypatch.setenv("PAPERLESS_API_TOKEN_FILE", str(file))
    assert authorization() == {"authorization": f"Bearer {TOKEN}"}


def test_a_file_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERLESS_API_TOKEN_FILE", str(tmp_path / "nothing"))
    with pytest.raises(ApiTokenError, match=r"PAPERLESS_API_TOKEN_FILE: .*nothing"):
        authorization()


def test_an_empty_token_is_no_token(monkeypatch):
    monkeypatch.setenv("PAPERLESS_API_TOKEN", " ")
    with pytest.raises(ApiTokenError, match="is empty"):
        authorization()


async def test_a_guarded_api_takes_what_the_command_shows(monkeypatch):
    monkeypatch.setenv("PAPERLESS_API_TOKEN", TOKEN)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    guard = TokenGuard(app, token_digests("ANY", "0.0.0.0", SecretStr(TOKEN), open_to_all=False), 10)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://api") as client:
        assert (await client.get("/rates")).status_code == 401
        assert (await client.get("/rates", headers=authorization())).status_code == 204
