"""A run's output over HTTP: from any place, in each form, live, at the client's own pace, and cut off at any moment."""

from __future__ import annotations

import base64
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api import Api
from tests.serving import Server
from tests.waiting import wait_until


def _bytes(records: list[dict[str, Any]]) -> bytes:
    """The output that records have, which must follow each other."""
    position, found = None, b""
    for each in records:
        if each["type"] == "output":
            assert position in (None, each["start"]), each
            position = each["position"]
            data = base64.b64decode(each["base64"]) if "base64" in each else each["data"].encode()
            assert len(data) == each["position"] - each["start"], each
            found += data
    return found


@pytest.fixture
def lines(api: Api) -> str:
    """A run that has printed 0 to 999 and ended."""
    run = api.start("lines", count=1000)
    api.wait_end(run)
    return run


WHOLE = "".join(f"{number}\n" for number in range(1000)).encode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", WHOLE),
        ("?after=10", WHOLE[10:]),
        (f"?after={len(WHOLE)}", b""),
        ("?line=991", WHOLE[-40:]),
        ("?tail=2", b"998\n999\n"),
        ("?tail=0", b""),
        ("?time=0", WHOLE),
        ("?time=99999999999", b""),
        ("?follow=false&after=5", WHOLE[5:]),
        ("?stream=err", b""),
        ("?stream=out&tail=1", b"999\n"),
    ],
)
def test_from_any_place_in_each_form(api: Api, lines: str, query: str, expected: bytes) -> None:
    """Bytes, records and events have the same output, from the same place, and the latter say how the run ended."""
    assert api.output(lines, query) == expected
    records = list(api.stream(f"/runs/{lines}/output.ndjson{query}").records())
    assert _bytes(records) == expected
    events = [each for each in api.stream(f"/runs/{lines}/output.sse{query}").events()]
    assert [each["data"] for each in events] == records
    assert [records[0]["type"], records[-1]["type"]] == ["begin", "end"]
    assert records[-1]["run"]["status"] == "succeeded"
    assert records[0]["after"] == len(WHOLE) - len(expected) or "stream=err" in query


@pytest.mark.parametrize(
    "query",
    [
        *("?after=-1", "?after=1e3", "?after=", "?after=99999999", "?after=1&tail=1", "?line=0", "?time=nan"),
        *("?time=x", "?follow=maybe", "?stream=both", "?heartbeat=0", "?colour=red", "?after=1&after=2"),
    ],
)
def test_a_place_that_cannot_be_is_refused(api: Api, lines: str, query: str) -> None:
    """What makes no sense is refused before anything is sent."""
    api.wrong(400, "bad_request", f"/runs/{lines}/output{query}")


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("text/*", "text/plain"),
        ("text/event-stream", "text/event-stream"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/jsonl, text/plain;q=0.5", "application/x-ndjson"),
        ("application/octet-stream", "text/plain"),
    ],
)
def test_the_form_is_what_accept_prefers(api: Api, lines: str, accept: str | None, mimetype: str) -> None:
    """Without an ending in the address the header decides."""
    answer = api.ask(f"/runs/{lines}/output", headers={"Accept": accept})
    assert answer.headers["Content-Type"].split(";")[0] == mimetype
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "Accept" in answer.headers["Vary"]


def test_a_form_that_is_none_is_refused(api: Api, lines: str) -> None:
    """Images of output there are none, and no other endings; a HEAD has no body and holds nothing."""
    api.wrong(406, "not_acceptable", f"/runs/{lines}/output", headers={"Accept": "image/png"})
    api.wrong(404, "not_found", f"/runs/{lines}/output.xml")
    head = api.ask(f"/runs/{lines}/output", "HEAD")
    assert (head.status_code, head.content) == (200, b"")


def test_streams_bytes_and_lines_are_exact(api: Api) -> None:
    """Each record says of which output it is; what is no text comes as bytes; each output alone is whole."""
    run = api.start("both", pairs=3)
    api.wait_end(run)
    records = list(api.stream(f"/runs/{run}/output.ndjson").records())
    whole = api.output(run)
    assert _bytes(records) == whole
    assert whole.endswith(b"\xff\xfe raw\n")
    for stream in ("out", "err"):
        mine = [each for each in records if each.get("stream") == stream]
        data = b"".join(
            base64.b64decode(each["base64"]) if "base64" in each else each["data"].encode() for each in mine
        )
        assert api.output(run, f"?stream={stream}") == data
        assert (f"{stream} 2\n").encode() in data
    numbers = [each["line"] for each in records if each["type"] == "output"]
    assert numbers == sorted(numbers)
    assert numbers[0] == 1
    within = list(api.stream(f"/runs/{run}/output.ndjson?after={whole.index(b'err 1') + 1}").records())
    assert _bytes(within) == whole[whole.index(b"err 1") + 1 :]
    assert within[0]["line"] == next(each for each in within if each["type"] == "output")["line"]


def test_a_live_run_is_watched_to_its_end(api: Api, tmp_path: Path) -> None:
    """Output comes as it is printed, signs of life while nothing is, then the rest and the end."""
    go = tmp_path / "go"
    run = api.start("waits_for", file=str(go))
    events = api.stream(f"/runs/{run}/output.sse?heartbeat=1").events()
    first = next(events)
    assert (first["event"], first["id"], first["retry"]) == ("begin", "0", "1000")
    assert next(each for each in events if each.get("event") == "output")["data"]["data"] == "before\n"
    assert next(each for each in events if "comment" in each)
    records = api.stream(f"/runs/{run}/output.ndjson?heartbeat=1").records()
    # An earlier one may tell that nothing has been read yet.
    assert next(each for each in records if each["type"] == "beat" and each["position"])["position"] == 7
    go.touch()
    rest = list(events)
    assert [each["data"]["data"] for each in rest if each.get("event") == "output"] == ["after\n"]
    assert (rest[-1]["event"], rest[-1]["id"]) == ("end", "13-end")
    assert [each["type"] for each in records][-1] == "end"


def test_a_silent_run_is_answered_at_once(api: Api, tmp_path: Path) -> None:
    """The head of an answer does not wait for the first output, in no form."""
    go = tmp_path / "go"
    run = api.start("waits_for", file=str(go), first="", then="end\n")
    streams = [api.stream(f"/runs/{run}/output.{form}?heartbeat=300") for form in ("raw", "sse", "ndjson")]
    go.touch()
    for each in streams:
        assert b"end\n" in each.answer.content or b"end\\n" in each.answer.content


def test_without_follow_it_ends_where_the_output_does(api: Api, tmp_path: Path) -> None:
    """What there is comes, and nothing is waited for; nothing at all is an answer too."""
    go = tmp_path / "go"
    run = api.start("waits_for", file=str(go))
    wait_until(lambda: api.get(f"/runs/{run}")["position"])
    assert api.output(run, "?follow=false") == b"before\n"
    records = list(api.stream(f"/runs/{run}/output.ndjson?follow=0&after=7").records())
    assert [each["type"] for each in records if each["type"] != "status"] == ["begin", "beat"]
    go.touch()
    api.wait_end(run)


def test_an_event_source_goes_on_where_it_was(api: Api, lines: str) -> None:
    """Last-Event-ID wins over the query; after the end there is no more content, so that it stays away."""
    events = list(api.stream(f"/runs/{lines}/output.sse?tail=5").events())
    numbered = [each for each in events if each.get("event") == "output"]
    again = api.stream(f"/runs/{lines}/output.sse?tail=5", headers={"Last-Event-ID": str(int(numbered[0]["id"]) - 4)})
    assert _bytes([each["data"] for each in again.events()]) == WHOLE[int(numbered[0]["id"]) - 4 :]
    done = api.ask(f"/runs/{lines}/output.sse", headers={"Last-Event-ID": events[-1]["id"]})
    assert (done.status_code, done.content) == (204, b"")
    for wrong in ("x", "-1", "1-ende", "9" * 30):
        api.wrong(400, "bad_request", f"/runs/{lines}/output.sse", headers={"Last-Event-ID": wrong})


def test_who_is_cut_off_again_and_again_gets_each_byte_once(api: Api) -> None:
    """A reader that leaves in the midst and goes on after its last record lacks nothing and has nothing twice."""
    run = api.start("lines", count=300, pause=0.01, width=200)
    found, position = b"", 0
    for turn in itertools.count():
        stream = api.stream(f"/runs/{run}/output.ndjson?after={position}")
        for number, record in enumerate(stream.records()):
            found += _bytes([record])
            position = record["position"] if record["type"] == "output" else position
            if record["type"] == "end" or number > 20 + 5 * turn:
                break
        stream.close()
        if record["type"] == "end":
            break
    assert found == "".join(f"{number:0200d}\n" for number in range(300)).encode()


def test_a_flood_waits_for_a_slow_reader(api: Api) -> None:
    """A reader that takes its time gets all of a flood, and nothing is kept for it beyond a window."""
    run = api.start("lines", count=60_000, width=300)
    answer = api.http.get(f"{api.url}/runs/{run}/output", headers=api.headers, stream=True, timeout=60)
    size = 0
    for number, chunk in enumerate(answer.iter_content(65_536)):
        size += len(chunk)
        if number < 5:
            time.sleep(0.2)
    assert size == 60_000 * 301 == api.wait_end(run)["position"]


def test_many_watch_one_run(api: Api, tmp_path: Path) -> None:
    """Thirty readers in all forms see the same at the same time."""
    go = tmp_path / "go"
    run = api.start("waits_for", file=str(go), first="begin\n", then="end\n")
    found: list[bytes] = []

    def read(form: str) -> None:
        reader = Api(api.home, api.token)
        if form == "raw":
            found.append(reader.output(run))
        else:
            stream = reader.stream(f"/runs/{run}/output.{form}")
            records = stream.records() if form == "ndjson" else (each["data"] for each in stream.events())
            found.append(_bytes(list(records)))

    readers = [threading.Thread(target=read, args=(("raw", "ndjson", "sse")[number % 3],)) for number in range(30)]
    for each in readers:
        each.start()
    time.sleep(0.5)
    go.touch()
    for each in readers:
        each.join(60)
    assert found == [b"begin\nend\n"] * 30


def test_a_reader_with_a_cookie_alone(server: Server, person: requests.Session, lines: str) -> None:
    """A page of ours needs no token: its EventSource has the session's cookie."""
    assert Api(server.url, person=person).output(lines) == WHOLE
    assert requests.get(f"{server.url}/api/v1.0/runs/{lines}/output", timeout=20).status_code == 401
