"""The Webex stand-in's API and its faults, over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import webexpythonsdk

from tests.integration.simulator_fixture import Simulator

Start = Callable[..., Simulator]


def _get(simulator: Simulator, path: str, token: str = "", **headers: str) -> requests.Response:
    url = path if path.startswith("http") else simulator.url + path
    sent = {"Authorization": f"Bearer {token or simulator.token()}", **headers}
    return requests.get(url, headers=sent, timeout=10)


def _pages(simulator: Simulator, path: str) -> Iterator[list[dict[str, Any]]]:
    token, url = simulator.token(), path
    while url:
        answer = _get(simulator, url, token)
        assert answer.status_code == 200, answer.text
        yield answer.json()["items"]
        url = answer.links.get("next", {}).get("url", "")


def _rooms(simulator: Simulator, query: str = "") -> list[dict[str, Any]]:
    return [room for page in _pages(simulator, f"/rooms?{query}") for room in page]


def _messages(simulator: Simulator, room: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    path = f"/messages?roomId={room['id']}&{query}"
    return [message for page in _pages(simulator, path) for message in page]


def test_the_independent_sdk_reads_everything(simulator: Simulator) -> None:
    """The package webexpythonsdk reads people/me, all rooms and all messages, page by page, through its base_url."""
    api = webexpythonsdk.WebexAPI(access_token=simulator.token(), base_url=simulator.url + "/")
    me = api.people.me()
    assert (me.displayName, me.emails, me.type) == ("First User", ["user1@example.com"], "person")
    rooms = list(api.rooms.list(max=3))
    assert [room.id for room in rooms] == [room["id"] for room in _rooms(simulator)]
    assert len(rooms) == 7
    messages = list(api.messages.list(rooms[0].id, max=50))
    assert [message.id for message in messages] == [each["id"] for each in _messages(simulator, {"id": rooms[0].id})]
    assert len(messages) == 120
    assert messages[-1].created < messages[0].created
    with pytest.raises(webexpythonsdk.ApiError, match="could not be found"):
        list(api.messages.list(base64.b64encode(b"ciscospark://us/ROOM/none").decode()))


def test_ids_and_times_have_webex_forms(simulator: Simulator) -> None:
    """Ids are unpadded base64 of their URI, times end in milliseconds and Z, and every answer has a tracking id."""
    answer = _get(simulator, "/rooms?max=1")
    room = answer.json()["items"][0]
    assert base64.urlsafe_b64decode(room["id"] + "==").decode().startswith("ciscospark://us/ROOM/")
    assert "=" not in room["id"]
    assert len(room["lastActivity"]) == len("2016-04-21T19:12:48.920Z")
    assert answer.headers["trackingid"].startswith("ROUTER_")


@pytest.mark.parametrize(("size", "pages"), [(3, [3, 3, 1]), (7, [7, 0]), (1, [1] * 7 + [0]), (5000, [7])])
def test_rooms_come_in_pages(simulator: Simulator, size: int, pages: list[int]) -> None:
    """A full page links to the next one, even where that is empty; an over-large max is clamped."""
    found = list(_pages(simulator, f"/rooms?max={size}"))
    assert [len(page) for page in found] == pages
    assert len({room["id"] for page in found for room in page}) == 7


def test_an_over_large_max_is_clamped(start_simulator: Start) -> None:
    """No page holds more than 1000 items, whatever max says."""
    simulator = start_simulator("--spaces", "1001")
    assert [len(page) for page in _pages(simulator, f"/rooms?max={'9' * 40}")] == [1000, 1]


def test_rooms_are_filtered_and_sorted(simulator: Simulator) -> None:
    """`type`, `sortBy` and `teamId` choose and order the rooms; the pages' links keep them."""
    rooms = _rooms(simulator)
    assert [room["lastActivity"] for room in rooms] == sorted((r["lastActivity"] for r in rooms), reverse=True)
    assert [r["id"] for r in _rooms(simulator, "sortBy=id&max=2")] == sorted(r["id"] for r in rooms)
    created = [r["created"] for r in _rooms(simulator, "sortBy=created&max=2")]
    assert created == sorted(created, reverse=True)
    assert {r["type"] for r in _rooms(simulator, "type=direct&max=1")} == {"direct"}
    assert len(_rooms(simulator, "type=group&max=2")) + len(_rooms(simulator, "type=direct")) == 7
    assert _rooms(simulator, "teamId=any") == []


def test_messages_come_newest_first(simulator: Simulator) -> None:
    """All messages of a space come once, newest first, within the life of the space; the second space is empty."""
    full, empty = _rooms(simulator)[:2]
    messages = _messages(simulator, full)
    created = [message["created"] for message in messages]
    assert created == sorted(set(created), reverse=True)
    assert (len(created), created[0]) == (120, full["lastActivity"])
    assert created[-1] > full["created"]
    assert {message["roomId"] for message in messages} == {full["id"]}
    assert _messages(simulator, empty) == []


def test_messages_are_filtered(simulator: Simulator) -> None:
    """`before`, `beforeMessage`, `parentId` and `mentionedPeople` choose messages; the pages' links keep them."""
    room = _rooms(simulator)[0]
    messages = _messages(simulator, room)
    assert _messages(simulator, room, f"beforeMessage={messages[9]['id']}") == messages[10:]
    assert _messages(simulator, room, f"before={messages[9]['created']}&max=7") == messages[10:]
    assert _messages(simulator, room, "before=2001-01-01T00:00:00Z") == []
    parent = next(message["parentId"] for message in messages if "parentId" in message)
    replies = [message for message in messages if message.get("parentId") == parent]
    assert _messages(simulator, room, f"parentId={parent}") == replies
    mentions = [message for message in messages if "mentionedPeople" in message]
    assert _messages(simulator, room, "mentionedPeople=me&max=2") == mentions
    assert len(mentions) > 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rooms?max=0", 400),
        ("/rooms?max=-1", 400),
        ("/rooms?max=many", 400),
        ("/rooms?max=%D9%A3", 400),
        ("/rooms?max=1&max=2", 400),
        ("/rooms?cursor=x", 400),
        ("/rooms?cursor=%C3%A9", 400),
        ("/rooms?sortBy=title", 400),
        ("/rooms?type=secret", 400),
        ("/messages", 400),
        ("/messages?roomId=", 400),
        ("/messages?roomId=none", 404),
        ("/messages?roomId={room}&before=yesterday", 400),
        ("/messages?roomId={room}&before=2026-01-01T00:00:00", 400),
        ("/messages?roomId={room}&beforeMessage=none", 404),
        ("/messages?roomId={room}&beforeMessage=%C3%A9", 404),
        ("/messages?roomId={foreign}", 404),
        ("/nowhere", 404),
        ("/access_token", 405),
    ],
)
def test_wrong_requests_are_answered_in_webex_words(simulator: Simulator, path: str, status: int) -> None:
    """A wrong parameter, a foreign room, an unknown path: an error body with a sentence and a tracking id."""
    foreign = _get(simulator, "/rooms", simulator.token(1)).json()["items"][0]["id"]
    answer = _get(simulator, path.format(room=_rooms(simulator)[0]["id"], foreign=foreign))
    body = answer.json()
    assert (answer.status_code, set(body)) == (status, {"message", "errors", "trackingId"})
    assert body["errors"] == [{"description": body["message"]}]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic {token}", "{token}", "Bearer {token} x"])
def test_a_token_is_needed(simulator: Simulator, header: str) -> None:
    """Without `Bearer` and a good token every part of the API answers 401."""
    sent = {"Authorization": header.format(token=simulator.token())}
    for path in ("/people/me", "/rooms", "/messages"):
        assert requests.get(simulator.url + path, headers=sent, timeout=10).status_code == 401


def test_the_seed_makes_the_data(start_simulator: Start) -> None:
    """The same seed gives the same data in another process, another seed other data; two users share nothing."""
    one, same, other = (start_simulator("--spaces", "3", "--seed", seed) for seed in ("5", "5", "6"))
    rooms = _rooms(one)
    assert rooms == _rooms(same)
    assert _messages(one, rooms[0]) == _messages(same, rooms[0])
    second = _get(one, "/rooms", one.token(1)).json()["items"]
    ids = [{room["id"] for room in found} for found in (rooms, _rooms(other), second)]
    assert len(set.union(*ids)) == 9


def test_ordered_faults_come_once_each_in_their_order(simulator: Simulator) -> None:
    """Faults that a test orders meet the next requests to their path, then the API works again."""
    simulator.fault("/rooms", status=429, retry_after="7", body="<html>slow</html>", content_type="text/html")
    simulator.fault("/rooms", status=502, times=2)
    simulator.fault("/rooms", cut=True)
    limited = _get(simulator, "/rooms")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert limited.headers["Content-Type"].startswith("text/html")
    assert _get(simulator, "/people/me").status_code == 200
    assert [_get(simulator, "/rooms").status_code for _ in range(2)] == [502, 502]
    with pytest.raises(requests.ConnectionError):
        _get(simulator, "/rooms")
    assert _get(simulator, "/rooms").status_code == 200
    assert simulator.count("/rooms") == 5


def test_faults_are_drawn_by_rate(simulator: Simulator) -> None:
    """Rates give 502, 429 with an HTML page and Retry-After, and 423, each about as often as asked."""
    simulator.turn(error_rate=0.2, limit_rate=0.2, locked_rate=0.2, retry_after="3")
    token = simulator.token()
    answers = [_get(simulator, "/people/me", token) for _ in range(100)]
    counts = {status: sum(answer.status_code == status for answer in answers) for status in (200, 502, 429, 423)}
    assert sum(counts.values()) == 100
    assert min(counts.values()) >= 8
    assert {answer.headers["Retry-After"] for answer in answers if answer.status_code in (423, 429)} == {"3"}
    page = next(answer for answer in answers if answer.status_code == 429)
    assert page.headers["Content-Type"].startswith("text/html")
    with pytest.raises(requests.JSONDecodeError):
        page.json()


def test_a_token_has_its_requests_a_minute(simulator: Simulator) -> None:
    """Past the allowed number a token gets 429, while another user's goes on."""
    simulator.turn(requests_per_minute=3, retry_after="")
    token, other = simulator.token(), simulator.token(1)
    answers = [_get(simulator, "/rooms", token) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert "Retry-After" not in answers[-1].headers
    assert _get(simulator, "/rooms", other).status_code == 200


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"Host": "localhost:5000"}, "http://localhost:5000/webex/v1/rooms?"),
        ({"X-Forwarded-Host": "localhost:5000"}, "http://localhost:5000/webex/v1/rooms?"),
        ({"Host": "webex.internal:8001"}, "http://webex.internal:8001/v1/rooms?"),
        ({"X-Forwarded-Host": "evil.example"}, "http://127.0.0.1:"),
    ],
)
def test_links_lead_to_where_the_request_came_from(start_simulator: Start, headers: dict[str, str], base: str) -> None:
    """Whoever came by the public address stays there, prefix included; everybody else stays at the internal one."""
    simulator = start_simulator("--public-url", "http://localhost:5000/webex/v1/")
    assert _get(simulator, "/rooms?max=2", **headers).links["next"]["url"].startswith(base)


def test_the_internal_address_can_be_set(start_simulator: Start) -> None:
    """With --internal-url links name that address, whatever the request says."""
    simulator = start_simulator("--internal-url", "http://webex:8001/v1")
    assert _get(simulator, "/rooms?max=2").links["next"]["url"].startswith("http://webex:8001/v1/rooms?")
