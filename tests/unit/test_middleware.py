"""Middleware by its names, websockets through all kinds of it, and answers that it forgets to close."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from app import handover
from app.config import load_settings
from app.errors import ConfigError
from app.hellogoodbyer import HelloGoodbyer
from app.middleware import Forgotten, around
from tests.monitoring import Monitor, careless
from tests.waiting import wait_until

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HERE = "tests.monitoring"


def _plain(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]


def _start(_status: str, _headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], object]:
    return lambda _data: None


def test_the_first_name_is_outermost() -> None:
    """And each is called once, with what is inside of it."""
    made = around(_plain, [f"{HERE}:Monitor", "app.hellogoodbyer.HelloGoodbyer"])
    assert isinstance(made, Monitor)
    assert isinstance(made._wsgi, HelloGoodbyer)
    assert around(_plain, []) is _plain


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no.such_module:thing", "no.such_module:thing cannot be loaded: ModuleNotFoundError"),
        (f"{HERE}:Missing", "cannot be loaded: AttributeError"),
        (f"{HERE}.Missing", "cannot be loaded: AttributeError"),
        (f"{HERE}:TEXT", "cannot be called: it is a str"),
        (f"{HERE}:broken", "cannot be put around the application: RuntimeError: no licence was found"),
        (f"{HERE}:nothing", "gives no application but a NoneType"),
    ],
)
def test_what_is_no_middleware_is_said_in_one_line(name: str, reason: str) -> None:
    """The line names the setting, the name and the reason."""
    with pytest.raises(ConfigError) as told:
        around(_plain, [name])
    assert str(told.value).startswith(f"WSGI_MIDDLEWARE: {name} ")
    assert reason in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("value", ["Middleware", "a b:c", "a.b:", ":c", "a..b:c", "a.b:c:d", "a.b:c()", "a-b:c", "."])
def test_what_is_no_name_is_a_wrong_setting(value: str) -> None:
    """The settings say so before anything is loaded."""
    with pytest.raises(ConfigError, match="WSGI_MIDDLEWARE: expected names such as"):
        load_settings(None, wsgi_middleware=value)
    assert load_settings(None, wsgi_middleware="a.b:c, d.e").wsgi_middleware == ("a.b:c", "d.e")


def test_examples_are_not_for_production() -> None:
    """They are on in development, and by the setting alone in production."""
    production = {
        "environment": "production",
        **{"client_id": "c", "client_secret": "s", "secret_key": "k" * 32, "token_keys": "k"},
        **{"redis_url": "redis://store:6379/0", "redirect_uri": "https://console.example/redirect"},
    }
    assert load_settings(None).examples == "on"
    assert load_settings(None, **production).examples == "off"
    assert load_settings(None, **production, examples="on").examples == "on"


def _websocket(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """As Flask has it: the websocket is served within the view, or within the body."""
    assert handover.mark(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"Hello", b"from", b"the body"])


def _bare_websocket(environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
    """As Engine.IO has it."""
    assert handover.mark(environ)
    return []


def _failing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    assert handover.mark(environ)
    start_response("200 OK", [])
    raise ValueError("after the websocket")


def _doubly(wsgi: WSGIApplication) -> WSGIApplication:
    return Monitor(careless(HelloGoodbyer(wsgi)))


@pytest.mark.parametrize("wsgi", [_websocket, _bare_websocket, _failing])
@pytest.mark.parametrize("middleware", [lambda wsgi: wsgi, careless, Monitor, HelloGoodbyer, _doubly])
def test_nothing_is_sent_behind_a_websocket(
    wsgi: WSGIApplication, middleware: Callable[[WSGIApplication], WSGIApplication]
) -> None:
    """The worker hears StopIteration at once, and no part of an answer; middleware sees 101."""
    statuses: list[str] = []

    def start(status: str, _headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda _data: None

    outer = handover.outside(middleware(handover.inside(wsgi)))
    with pytest.raises(StopIteration):
        outer({"HTTP_UPGRADE": "websocket"}, start)
    assert statuses == [handover.STATUS]


@pytest.mark.parametrize("environ", [{}, {"HTTP_UPGRADE": "websocket"}, {"HTTP_UPGRADE": "h2c"}])
@pytest.mark.parametrize("middleware", [lambda wsgi: wsgi, careless, Monitor, HelloGoodbyer, _doubly])
def test_other_answers_are_whole(environ: dict[str, Any], middleware: Callable[[WSGIApplication], Any]) -> None:
    """Also one that refuses a websocket; its errors are errors, too."""
    made = handover.outside(middleware(handover.inside(_plain)))
    assert b"".join(made(dict(environ), _start)) in (b"Hello", b"Goodbye")

    def failing(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
        raise ValueError("before any websocket")

    with pytest.raises(ValueError, match="before any"):
        list(handover.outside(middleware(handover.inside(failing)))(dict(environ), _start))


def test_a_refused_websocket_is_closed_once_by_the_server() -> None:
    """The first part was taken in advance, and nothing is lost of it or behind it."""
    closed: list[bool] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield from (b"", b"no", b" websocket")

        def close(self) -> None:
            closed.append(True)

    made: Any = handover.outside(lambda _environ, _start_response: Body())({"HTTP_UPGRADE": "websocket"}, _start)
    assert b"".join(made) == b"no websocket"
    assert closed == []
    made.close()
    assert closed == [True]


def test_what_middleware_forgets_is_closed() -> None:
    """An answer that nobody has any more is closed by the sweep, and one that was closed is not closed twice."""
    closed: list[int] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"part"
            yield b"part"

        def close(self) -> None:
            closed.append(threading.get_ident())

    forgotten = Forgotten()
    made = careless(forgotten.around(lambda _environ, _start_response: Body()))
    parts: Any = iter(made({}, _start))
    assert next(parts) == b"part"
    del parts, made
    gc.collect()
    assert closed == []
    turns = iter([None, None])

    def sleep(_seconds: float) -> None:
        if next(turns, 1) == 1:
            raise SystemExit

    def sweep() -> None:
        with pytest.raises(SystemExit):
            forgotten.sweep(sleep)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    wait_until(lambda: closed)
    sweeper.join(10)
    assert closed == [sweeper.ident]
    body: Any = forgotten.around(lambda _environ, _start_response: Body())({}, _start)
    body.close()
    del body
    assert len(closed) == 2
    assert b"".join(forgotten.around(lambda _environ, _start_response: Body())({}, _start)) == b"partpart"
    assert len(closed) == 3
    assert not forgotten._found
