"""A server as its HTTP API: calls that are tried again where that is right, and answers that go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import requests
from requests.auth import AuthBase

from app import __version__
from app.client import exits
from app.client.exits import Failure
from app.client.logins import API, TOKENS_PAGE, Login, is_local
from app.client.patience import Patience, retry_after

CONNECT_SECONDS, CALL_SECONDS = 10.0, 60.0
# Silence on a stream: a sign of life comes after this, and after twice as much and a bit the connection is dead.
BEAT_SECONDS = 15
STREAM_SECONDS = 2 * BEAT_SECONDS + 10.0
GATEWAY = (502, 503, 504)
# Of these a proxy says that the server's answer was lost: it may have done what it was asked.
UNKNOWN = (502, 504)
# They are 503 too, but do not go by with time.
LASTING = ("sandbox_refused",)
NOT_OURS = "does not answer as the HTTP API of Flask-Realtime does"


class _Token(AuthBase):
    """The token; a netrc file would have its way with a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def token_of(login: Login) -> AuthBase:
    """What sends the token."""
    return _Token(login.token)


def proxies_of(login: Login) -> dict[str, str] | None:
    """None: as the environment says; what is on this machine is asked without a proxy."""
    return {"http": "", "https": ""} if is_local(login.url) else None


class Server:
    """The API of `login.url` for who holds `login.token`."""

    def __init__(self, login: Login, patience: Patience) -> None:
        self.login, self.patience = login, patience
        self._http = requests.Session()
        self._http.auth = token_of(login)
        self._http.headers["User-Agent"] = f"Flask-Realtime/{__version__}"
        self._proxies = proxies_of(login)

    def heir(self, say: Callable[[str], object], pause: Callable[[float], object]) -> Server:
        """The same for another thread, with connections of its own."""
        return Server(self.login, self.patience.heir(say, pause))

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = True,
    ) -> dict[str, Any]:
        """What a good answer has; without `again` a call that may have had its effect is not sent a second time.

        Raises: Failure.
        """
        try:
            data = None if body is None else msgspec.json.encode(body)
        except UnicodeEncodeError:
            raise Failure("A value is no text: it has bytes that are no UTF-8.", exits.USAGE) from None
        told = {**({} if data is None else {"Content-Type": "application/json"}), **(headers or {})}
        if not again:
            # A connection that has been idle may be closed at the other end in this very moment.
            self._http.close()
        while True:
            try:
                answer = self._http.request(
                    method,
                    f"{self.login.url}{API}{path}",
                    params=query,
                    data=data,
                    headers=told,
                    timeout=(CONNECT_SECONDS, CALL_SECONDS),
                    proxies=self._proxies,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                if not again and not _never_sent(error):
                    raise _unknown(reason_of(error)) from None
                self.patience.failed(reason_of(error))
                continue
            if not again and answer.status_code in UNKNOWN:
                raise _unknown(f"HTTP {answer.status_code}")
            if self.good(answer):
                return decoded(answer.content)

    def stream(self, path: str, query: Mapping[str, Any], headers: Mapping[str, str]) -> requests.Response | None:
        """An answer that goes on; None where the server was not there, and the time to try again has come.

        Raises: Failure.
        """
        try:
            answer = self._http.get(
                f"{self.login.url}{API}{path}",
                params=query,
                headers=headers,
                timeout=(CONNECT_SECONDS, STREAM_SECONDS),
                proxies=self._proxies,
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            self.patience.failed(reason_of(error))
            return None
        try:
            good = self.good(answer)
        except requests.RequestException as error:
            # The problem document was cut off.
            self.patience.failed(reason_of(error))
            good = False
        if not good:
            answer.close()
            return None
        return answer

    def good(self, answer: requests.Response) -> bool:
        """Whether it is a good answer; False where it was worth waiting, and the next try may be.

        Raises: Failure.
        """
        status = answer.status_code
        if requests.codes.ok <= status < requests.codes.multiple_choices:
            self.patience.well()
            return True
        if status < requests.codes.bad_request:
            raise Failure(f"{self.login.url} leads elsewhere: log in with the address where it leads to.", exits.BROKEN)
        problem = _problem(answer)
        code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))
        if status in GATEWAY and code not in LASTING:
            self.patience.failed(detail.rstrip(".") or f"HTTP {status}", retry_after(answer.headers.get("Retry-After")))
            return False
        self.patience.well()
        raise self._failure(status, code, detail, problem.get("fields"))

    def _failure(self, status: int, code: str, detail: str, fields: Any) -> Failure:
        url = self.login.url
        if not code:
            return Failure(f"{url} {NOT_OURS} (HTTP {status}).", exits.of_status(status, code))
        if code == "login_required":
            detail = f"{url} does not take this token: it was revoked, or has ended. Make one at {url}{TOKENS_PAGE}"
            detail += ", then: python -m app login"
        elif status == requests.codes.forbidden and "scope" in detail:
            detail += f" Make one that has it at {url}{TOKENS_PAGE}, then: python -m app login"
        if isinstance(fields, dict):
            detail += "".join(f"\n  {name}: {text}" for name, text in fields.items())
        return Failure(detail, exits.of_status(status, code), code)


def decoded(data: bytes) -> dict[str, Any]:
    """A JSON object from a server.

    Raises: Failure where it is none.
    """
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Failure(f"The server {NOT_OURS}.", exits.BROKEN) from None


def reason_of(error: Exception) -> str:
    """Why a connection failed, in a few words."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here (REQUESTS_CA_BUNDLE names a file of those that are)"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        return "it does not answer"
    text = repr(error)
    for sign, words in (
        ("Name or service not known", "there is no such name"),
        ("NameResolution", "its name is not known"),
        ("refused", "nobody listens there"),
        ("NewConnectionError", "there is no way to it"),
    ):
        if sign in text:
            return words
    return "the connection was cut"


def _unknown(reason: str) -> Failure:
    return Failure(f"{reason}. It is not known whether the server has done it.", exits.AWAY)


def _never_sent(error: requests.RequestException) -> bool:
    return isinstance(error, requests.exceptions.ConnectTimeout) or "NewConnectionError" in repr(error)


def _problem(answer: requests.Response) -> dict[str, Any]:
    if "json" not in answer.headers.get("Content-Type", ""):
        return {}
    try:
        found = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return {}
    return found if isinstance(found, dict) else {}
