"""What this command shows to a scoring API that asks for a token; a token never stands on a command line."""

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from runtime.settings import EnvironmentSettings


class ApiTokenError(RuntimeError):
    """The token cannot be read; says from where."""


class _ApiToken(EnvironmentSettings):
    model_config = SettingsConfigDict(env_prefix="PAPERLESS_")

    api_token: SecretStr | None = None


def authorization() -> dict[str, str]:
    """Return the headers with the token of `PAPERLESS_API_TOKEN`, or of the file PAPERLESS_API_TOKEN_FILE, if any.

    Of several tokens, parted by white space, the last one is shown: a new one is added at the end.

    Raises:
        ApiTokenError: the file cannot be read, or is empty.

    """
    try:
        token = _ApiToken().api_token
    except (OSError, ValidationError) as error:
        raise ApiTokenError(f"PAPERLESS_API_TOKEN_FILE: {error}; name a file with a token of the API") from error
    if token is None:
        return {}
    words = token.get_secret_value().split()
    if not words:
        raise ApiTokenError("PAPERLESS_API_TOKEN is empty; unset it, or set it to a token of the API")
    return {"authorization": f"Bearer {words[-1]}"}
