"""The pure part of the Webex client: waits, tries, pages, and errors for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from app.errors import LoginAgain, ProviderUnavailable
from app.webexteamsasyncapi import (
    DEFAULT_WAIT,
    LONGEST_WAIT,
    MOST_BROKEN,
    MOST_LIMITED,
    SHORTEST_WAIT,
    Reply,
    Tries,
    WebexError,
    WebexTeamsAsyncAPI,
    complaint,
    items_of,
    next_page,
    wait_seconds,
)

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
HERE = URL("https://webexapis.com/v1/rooms?max=5")
TOKEN = "canary-" + "x" * 60


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("2.5", 2.5),
        ("0", SHORTEST_WAIT),
        ("-30", SHORTEST_WAIT),
        ("0.001", SHORTEST_WAIT),
        (None, DEFAULT_WAIT),
        ("", DEFAULT_WAIT),
        ("soon", DEFAULT_WAIT),
        ("nan", DEFAULT_WAIT),
        ("inf", LONGEST_WAIT),
        ("9" * 400, LONGEST_WAIT),
        ("Mon, 05 Jan 2026 12:00:09 GMT", 9.0),
        ("Mon, 05 Jan 2026 12:00:09 -0000", 9.0),
        ("Mon, 05 Jan 2026 13:00:09 +0100", 9.0),
        ("Mon, 05 Jan 2026 11:00:00 GMT", SHORTEST_WAIT),
        ("Mon, 99 Jan 2026 12:00:09 GMT", DEFAULT_WAIT),
    ],
)
def test_retry_after_forms(header: str | None, seconds: float) -> None:
    """A number, a date, a negative, missing or senseless Retry-After: each gives a sane wait."""
    assert wait_seconds(header, NOW) == seconds


@given(st.text() | st.integers().map(str) | st.floats().map(str))
def test_any_retry_after_is_survived(header: str) -> None:
    """Whatever the header holds, the wait lies between one second and an hour."""
    assert SHORTEST_WAIT <= wait_seconds(header, NOW) <= LONGEST_WAIT


@given(st.integers(2, 3000))
def test_dates_of_any_distance(seconds: int) -> None:
    """A date in Retry-After means the time until then."""
    assert wait_seconds(format_datetime(NOW + timedelta(seconds=seconds), usegmt=True), NOW) == seconds


@pytest.mark.parametrize("status", [429, 423])
def test_limits_are_waited_for_and_then_given_up(status: int) -> None:
    """A limited request waits as long as it is told each time, and ends after a stated number of tries."""
    tries, reply = Tries(), Reply(status, headers={"Retry-After": "4"})
    pauses = [tries.pause_after(reply, NOW) for _ in range(MOST_LIMITED)]
    assert pauses == [4.0] * (MOST_LIMITED - 1) + [None]


@pytest.mark.parametrize("status", [0, 502, 503, 504])
def test_breakdowns_are_retried_with_growing_pauses(status: int) -> None:
    """No answer, 502, 503 and 504 are retried after growing pauses, then given up."""
    tries = Tries(chance=lambda: 1.0)
    pauses = [tries.pause_after(Reply(status), NOW) for _ in range(MOST_BROKEN)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, None]


def test_chance_spreads_the_retries() -> None:
    """Requests that failed together do not come back together."""
    early, late = (Tries(chance=partial(float, part)).pause_after(Reply(502), NOW) for part in (0.0, 1.0))
    assert (early, late) == (0.5, 1.0)


def test_503_that_names_a_time_gets_it() -> None:
    """A 503 with Retry-After is not asked again sooner."""
    assert Tries().pause_after(Reply(503, headers={"Retry-After": "20"}), NOW) == 20.0


def test_a_refused_token_is_replaced_once() -> None:
    """The first 401 asks for another token at once, the second ends the request."""
    tries = Tries()
    assert [tries.pause_after(Reply(401), NOW) for _ in range(2)] == [0.0, None]


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 405, 409, 415, 500])
def test_other_refusals_are_final(status: int) -> None:
    """What waiting cannot heal is not tried again."""
    assert Tries().pause_after(Reply(status), NOW) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0, ProviderUnavailable),
        (400, WebexError),
        (401, LoginAgain),
        (403, WebexError),
        (404, WebexError),
        (423, ProviderUnavailable),
        (429, ProviderUnavailable),
        (502, ProviderUnavailable),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"message": f"No such\r\nthing {TOKEN}", "trackingId": "ROUTER_1"}).encode(),
        json.dumps({"message": None}).encode(),
        b"<html>429</html>",
        b"[1]",
        b"",
        b"\xff" * 9000,
        json.dumps({"message": "x" * 9000}).encode(),
    ],
)
def test_errors_are_short_sentences_without_the_token(status: int, kind: type[Exception], body: bytes) -> None:
    """Whatever body an error brings, its text is one short line that does not hold the token."""
    error = complaint(Reply(status, body), "/v1/rooms", TOKEN)
    assert type(error) is kind
    assert TOKEN not in str(error)
    assert "\n" not in str(error)
    assert 10 < len(str(error)) < 500


def test_an_error_repeats_what_webex_said() -> None:
    """The server's own sentence and its tracking id are passed on."""
    body = json.dumps({"message": "The requested resource could not be found.", "trackingId": "ROUTER_AB"}).encode()
    text = str(complaint(Reply(404, body), "/v1/rooms", TOKEN))
    assert text == "Webex answered 404 to /v1/rooms: The requested resource could not be found. (tracking id ROUTER_AB)"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"items": null}', b'{"items": [1]}', b"\xff\xfe", b'{"items": {}}'],
)
def test_a_page_that_is_none_is_refused(body: bytes) -> None:
    """A 200 whose body is not a list of objects is an error, not an empty list."""
    with pytest.raises(WebexError, match="not the list"):
        items_of(Reply(200, body), "/v1/rooms")


def test_a_page_has_items() -> None:
    """The items of a page come in their order; an empty page has none."""
    assert items_of(Reply(200, b'{"items": [{"id": "2"}, {"id": "1"}]}'), "") == [{"id": "2"}, {"id": "1"}]
    assert items_of(Reply(200, b'{"items": []}'), "") == []


def test_the_next_page_is_followed() -> None:
    """A Link to the same server is followed, also where it writes out the default port; without one the list ends."""
    following = URL("https://webexapis.com:443/v1/rooms?max=5&cursor=a")
    assert next_page(HERE, following) == following
    assert next_page(HERE, None) is None


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/v1/rooms",
        "http://webexapis.com/v1/rooms",
        "https://webexapis.com:8443/v1/rooms",
        "https://somebody@webexapis.com/v1/rooms",
        "mailto:webexapis.com",
        "/v1/rooms",
    ],
)
def test_a_next_page_elsewhere_is_refused(link: str) -> None:
    """The token goes to no server but the API's own."""
    with pytest.raises(WebexError, match="another server"):
        next_page(HERE, URL(link))


def test_a_page_that_names_itself_ends_the_list() -> None:
    """A Link that leads nowhere new is an error instead of an endless loop."""
    with pytest.raises(WebexError, match="after itself"):
        next_page(HERE, HERE)


@pytest.mark.parametrize(
    "address", ["", "webexapis.com/v1", "ftp://webexapis.com", "http://", "http://[", "https://a:b"]
)
def test_a_wrong_address_is_named(address: str) -> None:
    """An API address that is none gives a sentence with it, before any request."""
    with pytest.raises(WebexError, match="no http or https address"):
        WebexTeamsAsyncAPI(lambda: TOKEN, address)
