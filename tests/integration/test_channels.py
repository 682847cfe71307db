"""Channels over HTTP, as users of the seed's streamer know them, and in the other forms."""

from __future__ import annotations

import re
import time
from itertools import islice
from typing import Any

import pytest
import requests

from app.store.channels import CHANGES
from tests.api import Api, Stream, make_token
from tests.integration.channels_fixture import JOINED, begun, set_, subscribe
from tests.serving import Server


def test_as_the_seed_has_it(letters: Api) -> None:
    """`ok` and a cookie; then one object with all values, one for each change, in the very bytes of the original."""
    answer = subscribe(letters, "X", "Y", "Z")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    cookie = answer.headers["Set-Cookie"]
    assert re.match(r"SUBID=[0-9a-f]{32}; ", cookie)
    assert "Path=/" in cookie
    assert "HttpOnly" in cookie
    set_(letters, X=2, Y=85, Z=48)
    stream = letters.stream(JOINED)
    assert stream.answer.headers["Content-Type"] == "application/json"
    assert stream.answer.headers["X-Accel-Buffering"] == "no"
    pieces = stream.answer.iter_content(None)
    assert next(pieces) == b'{"X": 2, "Y": 85, "Z": 48}'
    assert next(pieces) == b'{"Updates": false}'
    # Another silence may come before what is next.
    pieces = (piece for piece in pieces if piece != b'{"Updates": false}')
    set_(letters, X=0, A=7)
    assert next(pieces) == b'{"X": 0}'
    set_(letters, Y=0, Z=0)
    assert b"".join(islice(pieces, 2)) == b'{"Y": 0}{"Z": 0}'
    stream.close()
    assert "Set-Cookie" not in subscribe(letters, "X").headers


def test_ten_seconds_of_silence_counted_from_the_last_change(letters: Api) -> None:
    """`{"Updates": false}` comes after ten seconds without a change, not sooner, and the counter begins anew."""
    subscribe(letters, "X")
    found = begun(letters.stream("/stream"))
    time.sleep(3)
    began = time.monotonic()
    set_(letters, X=1)
    assert next(found) == {"X": 1}
    set_(letters, Y=1)
    assert next(found) == {"Updates": False}
    assert time.monotonic() - began > 9.5


def test_every_value_in_between_comes_to_both_of_a_cookies_streams(letters: Api) -> None:
    """Two streams on one cookie have everything: three hundred values of one channel, in order, each once."""
    subscribe(letters, "X", "Y")
    streams = [begun(letters.stream("/stream")), begun(Stream(_again(letters)))]
    for number in range(1, 301):
        set_(letters, X=number)
    for each in streams:
        assert [next(each) for _ in range(300)] == [{"X": number} for number in range(1, 301)]


def _again(api: Api) -> requests.Response:
    answer = requests.get(f"{api.url}/stream", headers=api.headers, cookies=api.http.cookies, stream=True, timeout=60)
    assert answer.ok
    return answer


def test_without_a_good_cookie_it_says_so(letters: Api, server: Server) -> None:
    """None, an expired one, one that somebody made up, another user's: each a clear error, in the seed's words too."""
    told = letters.wrong(404, "no_subscription", "/stream")
    assert told["Error"] == told["detail"] == "No session found. Use set_stream first"
    other = Api(server.url, make_token(server.url, server.log_in(1)))
    foreign = subscribe(other, "X").cookies["SUBID"]
    for cookie in ("0" * 32, "A", "X", foreign, "0" * 5000, '"', "../A", foreign.upper()):
        told = letters.wrong(404, "no_subscription", "/stream", headers={"Cookie": f"SUBID={cookie}"})
        assert "expired" in told["Error"] or "No session" in told["Error"]


def test_a_made_up_cookie_is_never_taken(letters: Api, redis_client: Any) -> None:
    """A cookie that is a channel's name, or another's choice, harms no channel and opens no session: another comes."""
    for cookie in ("A", "f" * 32, "channels:values"):
        answer = letters.ask("/set_stream", "POST", json={"Stream": ["X"]}, headers={"Cookie": f"SUBID={cookie}"})
        assert answer.ok
        assert answer.cookies["SUBID"] not in (cookie, "")
    assert letters.get("/channels/A")["value"] == 0
    assert not [key for key in redis_client.keys("*") if b"f" * 32 in key]
    kept = letters.http.cookies["SUBID"]
    assert not [key for key in redis_client.keys("*") if kept.encode() in key], "the store has a hash alone"


def test_an_expired_subscription_is_none(letters: Api, redis_client: Any) -> None:
    """When its week is over the stream says so, and does not answer with an empty 200."""
    subscribe(letters, "X")
    (key,) = [key for key in redis_client.keys("subscription:*")]
    assert 600_000 < redis_client.ttl(key) <= 7 * 86_400
    redis_client.delete(key)
    assert "expired" in letters.wrong(404, "no_subscription", "/stream")["Error"]


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], "X", 0, {"Stream": "X"}, {"Stream": []}, {"Stream": [["X"]]}, {"Stream": [1]}, {"Stream": [None]}),
        *({"stream": ["X"]}, {"Stream": ["X"], "More": 1}, {"Stream": [""]}, {"Stream": ["X\n"]}, {"Stream": ["é"]}),
        *({"Stream": ["X" * 101]}, {"Stream": ["X"] * 201}, {"Stream": ["*"]}, {"Stream": ["Updates"]}),
    ],
)
def test_a_wrong_subscription_is_refused(letters: Api, body: Any) -> None:
    """What has another shape is refused with a sentence, and sets no cookie."""
    letters.wrong(400, "bad_request", "/set_stream", method="POST", json=body)
    assert "SUBID" not in letters.http.cookies


def test_unknown_channels_are_named(letters: Api) -> None:
    """`ABC` is no channel though A, B and C are."""
    told = letters.wrong(404, "not_found", "/set_stream", method="POST", json={"Stream": ["X", "ABC", "nope"]})
    assert told["detail"] == "There is no channel ABC, nope."
    letters.wrong(404, "not_found", "/stream?channel=X&channel=nope")
    letters.wrong(404, "not_found", "/channels/nope")


def test_other_bodies_are_refused(letters: Api) -> None:
    """No JSON, another type, a megabyte."""
    url = "/set_stream"
    letters.wrong(415, "unsupported_media_type", url, method="POST", data='{"Stream": ["X"]}')
    json_ = {"Content-Type": "application/json"}
    letters.wrong(400, "bad_request", url, method="POST", data="{", headers=json_)
    letters.wrong(400, "bad_request", url, method="POST", data="[" * 100_000, headers=json_)
    letters.wrong(413, "too_large", url, method="POST", data="x" * 2_000_000, headers=json_)


def test_lines_and_events_tell_more(letters: Api) -> None:
    """Number, time and name of each change, and silence; `Accept` chooses as the ending does."""
    lines = letters.stream("/stream?heartbeat=1&channel=X", headers={"Accept": "application/x-ndjson"}).records()
    events = Api(letters.home, letters.token).stream("/stream.sse?heartbeat=1&channel=X").events()
    assert next(lines)["values"] == {"X": 0}
    first = next(events)
    assert (first["event"], first["retry"]) == ("snapshot", "1000")
    (told,) = set_(letters, X=3)
    assert next(each for each in lines if each["type"] != "silence") == {"type": "change", **told}
    event = next(each for each in events if each["event"] != "silence")
    assert (event["event"], event["id"], event["data"]) == ("change", str(told["sequence"]), {"type": "change", **told})
    assert next(lines) == {"type": "silence"}
    assert next(events) == {"event": "silence", "data": {"type": "silence"}}


def test_a_form_that_is_none_is_refused(letters: Api) -> None:
    """Images of channels there are none; an option that makes no sense is refused before anything is sent."""
    letters.wrong(406, "not_acceptable", "/stream?channel=X", headers={"Accept": "image/png"})
    letters.wrong(404, "not_found", "/stream.xml?channel=X")
    for query in (
        "heartbeat=0",
        "past=-1",
        "past=99999",
        "after=-1",
        "after=x",
        "colour=red",
        "follow=maybe",
        "channel=",
        "channel=%C3%A9",
    ):
        letters.wrong(400, "bad_request", f"/stream?channel=X&{query}")
    letters.wrong(400, "bad_request", "/stream?channel=X", headers={"Last-Event-ID": "x"})
    assert letters.ask("/stream?channel=X", "HEAD").content == b""


def test_who_was_cut_off_gets_what_came_meanwhile(letters: Api) -> None:
    """Behind the last number come the changes after it, each once; an EventSource does so by itself."""
    set_(letters, X=1)
    lines = letters.stream("/stream.ndjson?channel=X")
    last = next(lines.records())["sequence"]
    lines.close()
    for number in (2, 3, 4):
        set_(letters, X=number, Y=number)
    again = Api(letters.home, letters.token).stream(f"/stream.ndjson?channel=X&after={last}").records()
    assert [each["value"] for each in islice(again, 3)] == [2, 3, 4]
    set_(letters, X=5)
    assert next(again)["value"] == 5
    events = (
        Api(letters.home, letters.token).stream("/stream.sse?channel=X", headers={"Last-Event-ID": str(last)}).events()
    )
    assert [each["data"]["value"] for each in islice(events, 4)] == [2, 3, 4, 5]


def test_who_was_away_too_long_is_told_so(letters: Api, redis_client: Any) -> None:
    """Where some changes are kept no more: `missed`, then what the channels hold."""
    last = set_(letters, X=1)[0]["sequence"]
    for number in range(2, 12):
        set_(letters, X=number)
    redis_client.xtrim(CHANGES, maxlen=3, approximate=False)
    for after in (last, 0, last + 10**15):
        lines = Api(letters.home, letters.token).stream(f"/stream.ndjson?channel=X&after={after}").records()
        assert next(lines) == {"type": "missed", "changes": None}
        assert next(lines)["values"] == {"X": 11}
    joined = letters.stream(f"/stream?channel=X&after={last}").objects()
    assert list(islice(joined, 2)) == [{"Missed": True}, {"X": 11}]


def test_the_past_is_told_first_where_it_is_asked_for(letters: Api) -> None:
    """Changes of the last minutes as `past`, then the values; the seed's form begins with its values as ever."""
    for number in (1, 2, 3):
        set_(letters, X=number, Y=number)
    lines = list(letters.stream("/stream.ndjson?channel=X&past=60&follow=false").records())
    assert [(each["type"], each.get("value")) for each in lines[:-1]] == [("past", each) for each in (0, 1, 2, 3)]
    assert lines[-1]["values"] == {"X": 3}
    assert next(letters.stream("/stream?channel=X&past=60").objects()) == {"X": 3}
    events = list(letters.stream("/stream.sse?channel=X&past=60&follow=false").events())
    assert ["id" in each for each in events] == [False] * 4 + [True]
