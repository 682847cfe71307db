"""Values of channels over HTTP: any JSON, refused when wrong, set together or not at all, deleted, and so many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.values import VALUE_BYTES
from tests.api import Api, make_token
from tests.integration.channels_fixture import JOINED, begun, set_, subscribe
from tests.serving import Server


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        1.5,
        10**15,
        "text",
        "ein Ä \x00 \U0001f600",
        "</script>",
        True,
        None,
        [1, [2]],
        {"a": {"b": "c"}},
        "x" * 4000,
    ],
)
def test_any_json_is_a_value(channels_api: Api, value: Any) -> None:
    """It comes back as it was, alone, in the list, and in each form of the stream."""
    told = channels_api.get("/channels/any:thing.1-x", method="PUT", json={"value": value})
    assert told == channels_api.get("/channels/any:thing.1-x")
    assert (told["channel"], told["value"]) == ("any:thing.1-x", value)
    assert abs(told["time"] - time.time()) < 60
    assert channels_api.get("/channels")["channels"] == [told]
    query = "channel=any:thing.1-x&follow=false"
    assert next(channels_api.stream(f"/stream.json?{query}").objects()) == {"any:thing.1-x": value}
    lines = list(channels_api.stream(f"/stream.ndjson?{query}").records())
    assert lines == [{"type": "snapshot", "sequence": told["sequence"], "values": {"any:thing.1-x": value}}]
    (event,) = channels_api.stream(f"/stream.sse?{query}").events()
    assert (event["id"], event["event"], event["data"]) == (str(told["sequence"]), "snapshot", lines[0])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("X", {"value": "x" * VALUE_BYTES}),
        ("X", {"value": ["é"] * 1000}),
        ("X", {}),
        ("X", {"value": 1, "more": 2}),
        ("X", 3),
        ("Updates", {"value": 1}),
        ("Missed", {"value": 1}),
        ("Error", {"value": 1}),
        ("a" * 101, {"value": 1}),
        ("-x", {"value": 1}),
        ("a%20b", {"value": 1}),
        ("%C3%A9", {"value": 1}),
        ("X%00", {"value": 1}),
    ],
)
def test_a_wrong_value_or_name_is_refused(letters: Api, name: str, body: Any) -> None:
    """Too much, nothing, or a name that is none: a sentence, and all is as it was."""
    answer = letters.ask(f"/channels/{name}", "PUT", json=body)
    assert answer.status_code == 400, answer.text
    assert len(letters.get("/channels")["channels"]) == 26
    assert letters.get("/channels/X")["value"] == 0


def test_several_are_set_together_or_not_at_all(letters: Api) -> None:
    """One wrong name or value, and none is set."""
    for values in ({"X": 1, "Updates": 1}, {"X": 1, "Y": "y" * 5000}, {"X": 1, "a b": 1}, {}):
        letters.wrong(400, "bad_request", "/channels", method="PATCH", json={"values": values})
    assert letters.get("/channels/X")["value"] == 0
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    letters.wrong(400, "bad_request", "/channels", method="PATCH", json={"values": {"X": deep}})


def test_a_value_that_it_has_already_is_no_change(letters: Api) -> None:
    """Set again to the same, it keeps its number, and streams say nothing of it."""
    found = begun(letters.stream(f"{JOINED}&channel=X"))
    first = set_(letters, X=1)
    assert set_(letters, X=1) == first
    assert next(_spoken(found)) == {"X": 1}
    assert next(found) == {"Updates": False}


def _spoken(objects: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Without silences, which come each second."""
    return (each for each in objects if each != {"Updates": False})


def test_a_deleted_channel_is_told(letters: Api) -> None:
    """Streams that have it hear of it; it is in no list, and may come again."""
    joined = _spoken(begun(letters.stream("/stream?channel=X&channel=Y")))
    lines = Api(letters.home, letters.token).stream("/stream.ndjson?channel=X&channel=Y").records()
    assert next(lines)["type"] == "snapshot"
    assert letters.ask("/channels/X", "DELETE").status_code == 204
    assert letters.ask("/channels/X", "DELETE").status_code == 204
    assert next(joined) == {"X": None}
    told = next(each for each in lines if each["type"] != "silence")
    assert (told["type"], told["channel"], "value" in told) == ("deleted", "X", False)
    assert len(letters.get("/channels")["channels"]) == 25
    set_(letters, X=5)
    assert next(joined) == {"X": 5}
    subscribe(letters, "X", "Y")
    letters.ask("/channels/X", "DELETE")
    assert next(letters.stream("/stream").objects()) == {"X": None, "Y": 0}


@pytest.mark.usefixtures("no_channels")
def test_there_is_an_end_to_channels(start_server: Callable[..., Server]) -> None:
    """One more than CHANNELS is refused, and says what to do; those that are there can be set, and deleted."""
    server = start_server(CHANNELS="3")
    api = Api(server.url, make_token(server.url, server.log_in()))
    set_(api, A=1, B=2)
    told = api.wrong(429, "too_many", "/channels", method="PATCH", json={"values": {"A": 9, "C": 3, "D": 4}})
    assert "delete" in told["detail"]
    assert api.get("/channels/A")["value"] == 1
    set_(api, A=5, C=3)
    api.ask("/channels/B", "DELETE")
    set_(api, D=4)
