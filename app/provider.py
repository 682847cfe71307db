"""The login provider as OAuth 2.0 client: authorization code with PKCE, refresh, profile, revocation (RFC 7009).

Everything but `authorize_url` blocks, within a deadline, and is called in an OS thread. No error carries a token, nor
anything else that the provider wrote.
"""

from __future__ import annotations

import concurrent.futures
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar, cast

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session

from app.config import Settings
from app.errors import LoginAgain, ProviderUnavailable
from app.model import Token, User

logger = logging.getLogger(__name__)
T = TypeVar("T")

# A visitor has the answer or an error page within 5 s, so the provider's part of it ends before.
LOGIN_SECONDS = 4.5
# Nobody waits for these two to their end; a refresh that is given up after a rotation would lose the login.
REFRESH_SECONDS = 20.0
REVOKE_SECONDS = 20.0
CONNECT_SECONDS = 5.0
MOST_BYTES = 1_048_576
REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
# Where the provider does not say how long a token lasts.
DEFAULT_SECONDS = 3600.0
LONGEST_SECONDS = 10 * 365 * 86_400.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_USER_ID = re.compile(r"[\x21-\x7e]{1,256}")
LONGEST_NAME = 200
VERIFIER_LENGTH = 64


class Refused(Exception):
    """The provider understood the request and will not have it."""


class Provider:
    """One provider, as the settings name it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = settings.provider_name
        self._url = settings.provider_url.rstrip("/")
        self._public_url = (settings.provider_public_url or settings.provider_url).rstrip("/")

    def authorize_url(self, state: str, verifier: str) -> str:
        """Where a browser is sent to log in; `verifier` stays here, only its S256 challenge goes along."""
        with self._session(0.0) as session:
            url, _ = session.create_authorization_url(
                f"{self._public_url}/authorize", state=state, code_verifier=verifier, scope=self._settings.scope
            )
        return cast(str, url)

    @staticmethod
    def new_verifier() -> str:
        """A fresh PKCE code verifier."""
        return cast(str, generate_token(VERIFIER_LENGTH))

    def login(self, code: str, verifier: str) -> tuple[Token, User]:
        """The tokens for an authorization code, and whose they are.

        Raises: ProviderUnavailable within 4.5 s; LoginAgain where the code is not accepted.
        """

        def work() -> tuple[Token, User]:
            with self._session(LOGIN_SECONDS) as session:
                reply = session.fetch_token(
                    f"{self._url}/access_token", grant_type="authorization_code", code=code, code_verifier=verifier
                )
                token = self._token(reply, None)
                reply = session.get(f"{self._url}/people/me").json()
            return token, self._user(reply)

        return self._ask(work, LOGIN_SECONDS, "This login was not accepted. Please log in again.")

    def refresh(self, token: Token) -> Token:
        """New tokens for old; the provider may rotate the refresh token or leave it as it is.

        Raises: ProviderUnavailable within 20 s; LoginAgain where the refresh token is no longer good.
        """

        def work() -> Token:
            with self._session(REFRESH_SECONDS) as session:
                reply = session.refresh_token(f"{self._url}/access_token", refresh_token=token.refresh)
            return self._token(reply, token)

        return self._ask(work, REFRESH_SECONDS, "Your login has ended. Please log in again.")

    def revoke(self, tokens: tuple[tuple[str, str], ...]) -> None:
        """Ask the provider to end tokens, given as (token, `access_token` or `refresh_token`).

        Raises: ProviderUnavailable, LoginAgain where it refuses.
        """

        def work() -> None:
            with self._session(REVOKE_SECONDS) as session:
                for text, hint in tokens:
                    session.revoke_token(self._settings.revocation_url, token=text, token_type_hint=hint)

        self._ask(work, REVOKE_SECONDS, "The provider did not accept the end of this login.")

    @property
    def revokes(self) -> bool:
        """True where a revocation address is set."""
        return bool(self._settings.revocation_url)

    def _session(self, seconds: float) -> Any:
        return _Session(
            default_timeout=seconds,
            client_id=self._settings.client_id,
            client_secret=self._settings.client_secret.get_secret_value(),
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method, not a secret
            revocation_endpoint_auth_method="client_secret_post",
            redirect_uri=self._settings.redirect_uri,
            code_challenge_method="S256",
        )

    def _ask(self, work: Callable[[], T], seconds: float, refused: str) -> T:
        try:
            return _within(seconds, work)
        except Refused as error:
            logger.warning("%s refuses: %s", self._name, error)
            raise LoginAgain(refused) from None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            # The provider's answer has a wrong shape. Its text stays out of the log: it may hold a token.
            logger.warning("%s gives an answer that makes no sense: %s", self._name, type(error).__name__)
            raise ProviderUnavailable(f"{self._name} gave an answer that makes no sense. Please try again.") from None
        except (concurrent.futures.TimeoutError, requests.RequestException) as error:
            logger.warning("%s cannot be reached: %s", self._name, type(error).__name__)
            raise ProviderUnavailable(f"{self._name} does not answer. Please try again in a while.") from None

    @staticmethod
    def _token(reply: Mapping[str, Any], before: Token | None) -> Token:
        """The tokens of a reply; ValueError where it makes no sense."""
        now = time.time()
        access, refresh = reply["access_token"], reply.get("refresh_token") or ""
        if not _TOKEN.fullmatch(access) or (refresh and not _TOKEN.fullmatch(refresh)):
            raise ValueError("no token")
        ends = _seconds(reply.get("refresh_token_expires_in"), 0.0)
        refresh_expires = now + ends if ends else 0.0
        if before is not None and refresh in ("", before.refresh):
            refresh, refresh_expires = before.refresh, refresh_expires or before.refresh_expires
        expires = now + _seconds(reply.get("expires_in"), DEFAULT_SECONDS)
        return Token(access, now, expires, refresh, refresh_expires)

    @staticmethod
    def _user(reply: Mapping[str, Any]) -> User:
        """The profile of `/people/me`; ValueError where it names nobody."""
        if not _USER_ID.fullmatch(reply["id"]):
            raise ValueError("no id")
        emails = reply.get("emails")
        email = _line(emails[0]) if isinstance(emails, list) and emails else ""
        names = (_line(reply.get(name)) for name in ("displayName", "nickName"))
        return User(reply["id"], next(filter(None, names), "") or email or reply["id"], email)


class _Session(OAuth2Session):  # type: ignore[misc]  # the base carries no types
    """Authlib's session with limits: on time, size and redirects, which would carry secrets elsewhere."""

    def request(self, method: str, url: str, withhold_token: bool = False, auth: Any = None, **kwargs: Any) -> Any:
        kwargs.update(timeout=(CONNECT_SECONDS, self.default_timeout), allow_redirects=False, stream=True)
        response = super().request(method, url, withhold_token=withhold_token, auth=auth, **kwargs)
        content = b""
        for piece in response.iter_content(65_536):
            content += piece
            if len(content) > MOST_BYTES:
                response.close()
                raise ValueError("too long")
        # What requests does itself when it does not stream.
        response._content = content
        _check_status(response)
        return response

    def parse_response_token(self, resp: Any) -> Any:
        # Authlib would read times out of the reply before anybody has looked at them.
        reply = dict(resp.json())
        self.token = {"access_token": str(reply["access_token"]), "token_type": "Bearer"}
        return reply

    def _refresh_token(self, url: str, **kwargs: Any) -> Any:
        kwargs.pop("refresh_token")
        return self.parse_response_token(self._http_post(url, **kwargs))


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if status in REFUSALS and _error_code(response) not in ("invalid_client", "unauthorized_client"):
        raise Refused(_error_code(response) or str(status))
    raise requests.HTTPError(f"status {status}")


def _error_code(response: requests.Response) -> str:
    try:
        code = response.json().get("error", "")
    except (ValueError, AttributeError):
        return ""
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else ""


def _within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work` within `seconds`: socket timeouts alone allow an answer that drips for ever."""
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whatever it was belongs to the caller
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def _seconds(value: object, default: float) -> float:
    """A time to live, also as a text; `default` where there is none."""
    if value is None or value == "":
        return default
    if isinstance(value, bool):
        raise TypeError("a time to live")
    seconds = float(cast(Any, value))
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("a time to live")
    return min(seconds, LONGEST_SECONDS)


def _line(value: object) -> str:
    """`value` as one line to show: no control characters, not too long."""
    text = value if isinstance(value, str) else ""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:LONGEST_NAME]
