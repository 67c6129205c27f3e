"""The API key: the one place that opens it. Not here: where it comes from (`ai_assets.settings`)."""

from __future__ import annotations

from typing import NoReturn

import requests
from pydantic import SecretStr
from requests.auth import AuthBase

from ai_assets.errors import ConfigurationError

_SHORTEST_TO_HIDE = 8


class KeyAuth(AuthBase):
    """Puts the key on a request as it leaves, and hides it in what comes back.

    Being the session's `auth`, it also keeps `requests` from taking a password out of ~/.netrc instead.
    Raises ConfigurationError for a key that cannot stand in a header; the message never shows it.
    """

    def __init__(self, api_key: SecretStr) -> None:
        value = api_key.get_secret_value().strip()
        if not value:
            raise ConfigurationError("DASHSCOPE_API_KEY is empty: set it to the key of the workspace")
        # requests would show the whole header in its error.
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise ConfigurationError(
                "DASHSCOPE_API_KEY holds a blank, a line break or a character outside ASCII: copy it again"
            )
        self._key = SecretStr(value)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign `request`; `requests` calls this."""
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        return request

    def __repr__(self) -> str:
        return "KeyAuth(**********)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled")

    def hide(self, text: str) -> str:
        """`text` without the key, for what a server echoes; a key of a few characters is nobody's secret."""
        key = self._key.get_secret_value()
        return text.replace(key, "**********") if len(key) >= _SHORTEST_TO_HIDE else text
