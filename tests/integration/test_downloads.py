"""Downloads: the exact bytes, parts of them, ranges, text, gzip; also of what is wrong, missing or under way."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from tests.oracle import numbers
from tests.serving import Page, Server


def _get(server: Server, person: requests.Session, run: str, query: str = "", **headers: str) -> requests.Response:
    encoding = headers.pop("Accept_Encoding", "identity")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{server.url}/runs/{run}/output{query}"
    return person.get(url, headers={"Accept-Encoding": encoding, **named}, timeout=30)


Get = Callable[..., requests.Response]


@pytest.fixture
def get(server: Server, person: requests.Session) -> Get:
    """A function that downloads a run's output."""
    return functools.partial(_get, server, person)


@pytest.fixture
def store(_valkey_socket: Path) -> Iterator[Any]:
    """The store of the running server."""
    with redis.Redis(unix_socket_path=str(_valkey_socket)) as client:
        yield client


def test_the_exact_bytes_are_an_attachment_with_a_length(server: Server, person: requests.Session, page: Page) -> None:
    """An ended run's download has its length and a tag; HEAD has the same headers and no body."""
    run = page.complete("hostile")
    answer = _get(server, person, run)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="hostile-{run}.txt"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.content.endswith(b"\xff\x00\xfe broken \xe2\x82\n")
    head = person.head(f"{server.url}/runs/{run}/output", headers={"Accept-Encoding": "identity"}, timeout=10)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Length", "ETag", "Content-Disposition", "Accept-Ranges"):
        assert head.headers[name] == answer.headers[name]


@pytest.mark.parametrize(
    ("asked", "status", "bounds"),
    [
        ("bytes=0-0", 206, (0, 1)),
        ("bytes=10-19", 206, (10, 20)),
        ("bytes=380-", 206, (380, 390)),
        ("bytes=-5", 206, (385, 390)),
        ("bytes=-5000", 206, (0, 390)),
        ("bytes=0-99999999999999999999999999", 206, (0, 390)),
        ("Bytes=1-2", 206, (1, 3)),
        ("bytes=390-", 416, (0, 0)),
        ("bytes=99999999999999999999999-", 416, (0, 0)),
        ("bytes=5-4", 200, (0, 390)),
        ("bytes=-0", 200, (0, 390)),
        ("bytes=", 200, (0, 390)),
        ("bytes=a-b", 200, (0, 390)),
        ("bytes=--5", 200, (0, 390)),
        ("bytes=0x1-0x2", 200, (0, 390)),
        ("bytes=1-2,5-6", 200, (0, 390)),
        ("lines=1-2", 200, (0, 390)),
        ("bytes=" + ",".join("0-1" for _ in range(1000)), 200, (0, 390)),
        ("bytes=" + "9" * 5000 + "-", 200, (0, 390)),
        ("nonsense", 200, (0, 390)),
    ],
)
def test_ranges(get: Get, page: Page, asked: str, status: int, bounds: tuple[int, int]) -> None:
    """A range is answered by exactly its bytes; what is no range, or several, by the whole; nothing by 416."""
    run = page.complete(count=125)
    whole = numbers(125).encode()
    assert len(whole) == 390
    first, last = bounds
    answer = get(run, Range=asked)
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["Content-Range"] == "bytes */390"
        return
    assert answer.content == whole[first:last]
    assert answer.headers["Content-Length"] == str(last - first)
    assert answer.headers.get("Content-Range") == (f"bytes {first}-{last - 1}/390" if status == 206 else None)


def test_an_interrupted_download_goes_on(server: Server, person: requests.Session, page: Page) -> None:
    """If-Range with the tag goes on, with anything else the whole comes; parts have ranges of their own."""
    run = page.complete(count=1000)
    whole = numbers(1000).encode()
    tag = _get(server, person, run).headers["ETag"]
    assert _get(server, person, run, Range="bytes=5-", If_Range=tag).content == whole[5:]
    for other in ('"other"', f"W/{tag}", "Wed, 21 Oct 2065 07:28:00 GMT", "nonsense"):
        assert _get(server, person, run, Range="bytes=5-", If_Range=other).content == whole
    part = _get(server, person, run, "?tail=2", Range="bytes=2-4")
    assert (part.status_code, part.content) == (206, b"8\n9")
    assert part.headers["Content-Range"] == "bytes 2-4/8"
    assert part.headers["ETag"] != tag


def test_parts_by_place_and_stream(server: Server, person: requests.Session, page: Page) -> None:
    """A download begins where one says, and may have one of the two outputs."""
    run = page.complete(count=1000)
    whole = numbers(1000).encode()
    assert _get(server, person, run, "?line=11").content == whole[20:]
    assert _get(server, person, run, "?after=20").content == whole[20:]
    assert _get(server, person, run, "?tail=2").content == b"998\n999\n"
    assert _get(server, person, run, "?time=99999999999").content == b""
    assert _get(server, person, run, "?stream=err").content == b""
    run = page.complete("everything")
    assert _get(server, person, run, "?stream=err").content == b"stderr\nlogging\n"
    out = _get(server, person, run, "?stream=out")
    assert out.content == b"print\nthread\npool\ntask\nbytes \xc3\xa9\nno newline"
    assert out.headers["Accept-Ranges"] == "none"
    assert _get(server, person, run, "?stream=out", Range="bytes=0-1").status_code == 200


def test_text_has_no_colours(server: Server, person: requests.Session, page: Page) -> None:
    """As text there are neither colour codes nor control characters, and invalid bytes are U+FFFD."""
    run = page.complete("hostile")
    answer = _get(server, person, run, "?format=text")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.content.decode().split("\n")[1:] == ["link", "after", "\ufffd\ufffd broken \ufffd", ""]
    run = page.complete("coloured", count=30_000)
    text = _get(server, person, run, "?format=text").text
    assert text == "".join(f"a word {number} done\n" for number in range(30_000))


def test_gzip_as_a_file_and_on_the_way(server: Server, person: requests.Session, page: Page) -> None:
    """A .gz file is one whatever the browser accepts; otherwise Accept-Encoding decides, and never for a range."""
    run = page.complete("coloured", count=5000)
    whole = _get(server, person, run).content
    packed = _get(server, person, run, "?gzip=1", Accept_Encoding="gzip")
    assert packed.headers["Content-Type"] == "application/gzip"
    assert packed.headers["Content-Disposition"].endswith('.txt.gz"')
    assert "Content-Encoding" not in packed.headers
    assert gzip.decompress(packed.content) == whole
    text = _get(server, person, run, "?gzip&format=text")
    assert gzip.decompress(text.content).decode().startswith("a word 0 done\n")
    for accepted, encoded in [
        ("gzip, deflate", True),
        ("gzip;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0.1, identity;q=0.9", False),
        ("gzip;q=nonsense, ;;,", False),
    ]:
        answer = person.get(
            f"{server.url}/runs/{run}/output", headers={"Accept-Encoding": accepted}, timeout=30, stream=True
        )
        assert (answer.headers.get("Content-Encoding") == "gzip") is encoded, accepted
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert answer.content == whole
    ranged = _get(server, person, run, Accept_Encoding="gzip", Range="bytes=3-9")
    assert (ranged.status_code, ranged.content) == (206, whole[3:10])
    assert "Content-Encoding" not in ranged.headers


def test_a_download_during_the_run_has_what_is_there(server: Server, person: requests.Session, page: Page) -> None:
    """It ends by itself with what was there; ranges work, without a total."""
    run = page.start("lines", count=100_000, pause=0.005)
    page.wait_for_text(run, "30\n")
    answer = _get(server, person, run)
    assert numbers(1000).encode().startswith(answer.content)
    assert len(answer.content) > 70
    assert "Content-Length" not in answer.headers
    assert "ETag" not in answer.headers
    part = _get(server, person, run, Range="bytes=2-5")
    assert (part.status_code, part.content) == (206, b"1\n2\n")
    assert part.headers["Content-Range"] == "bytes 2-5/*"
    page.call("stop_request", {"run": run})
    page.wait_for_end(run)


@pytest.mark.parametrize(
    "query",
    [
        "format=html", "gzip=maybe", "stream=both", "stream=", "after=-1", "after=99999", "after=1.5", "line=0",
        "line=x", "line=%D9%A1", "tail=-1", "tail=" + "9" * 400, "time=nan", "time=inf", "time=now", "line=1&tail=1",
        "line=1&line=2", "start=5", "format=text%00",
    ],
)  # fmt: skip
def test_wrong_options_are_refused(server: Server, person: requests.Session, page: Page, query: str) -> None:
    """An option that is unknown, or has a value that cannot be, is refused in words."""
    run = page.complete(count=3)
    answer = _get(server, person, run, f"?{query}")
    assert answer.status_code == 400
    assert "Traceback" not in answer.text
    assert "text/html" in answer.headers["Content-Type"]


def test_what_is_missing_is_told(server: Server, person: requests.Session, page: Page, store: Any) -> None:
    """With a hole the download says so in text and header; a range is exact, or 416 where it touches the hole."""
    run = page.start("sleeper")
    page.wait_for_text(run, "sleeping")
    key, log = f"run:{run}", f"run:{run}:log"
    store.xadd(log, {"k": "omitted", "o": "1000"}, id="1009-0")
    store.hset(key, mapping={"position": 1009, "omitted": 1000})
    answer = _get(server, person, run)
    assert answer.content == b"sleeping\n\n[1000 bytes are missing here]\n"
    assert answer.headers["X-Omitted-Bytes"] == "1000"
    assert _get(server, person, run, "?stream=err").content == b"\n[1000 bytes are missing here]\n"
    assert _get(server, person, run, Range="bytes=0-8").content == b"sleeping\n"
    for asked in ("bytes=0-", "bytes=8-9", "bytes=500-600", "bytes=-1"):
        refused = _get(server, person, run, Range=asked)
        assert refused.status_code == 416
        assert "not kept" in refused.text
        assert refused.headers["X-Omitted-Bytes"] == "1000"
    found = page.call("search", {"run": run, "text": "sleep"})
    assert [each["line"] for each in found["matches"]] == [1]
    page.call("stop_request", {"run": run})


def test_log_and_archive_are_read_as_one(start_server: Callable[..., Server], tmp_path: Path) -> None:
    """Most of a run lies in the archive and its middle is kept nowhere: places, search and download know both."""
    server = start_server(HOT_MEGABYTES="0.25", RUN_MEGABYTES="4", ARCHIVE_DIR=str(tmp_path / "archive"))
    person = server.log_in()
    page = server.page(person)
    run = page.complete(count=900_000)
    whole = numbers(900_000).encode()
    answer = _get(server, person, run)
    omitted = int(answer.headers["X-Omitted-Bytes"])
    head, marker, tail = answer.content.partition(b"\n[%d bytes are missing here: " % omitted)
    assert marker
    tail = tail.partition(b"]\n")[2]
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + omitted + len(tail) == len(whole)
    assert _get(server, person, run, "?tail=2").content == b"899998\n899999\n"
    assert _get(server, person, run, "?line=1001", Range="bytes=0-8").content == b"1000\n1001"
    assert _get(server, person, run, Range=f"bytes={len(head) - 9}-{len(head) - 1}").content == head[-9:]
    assert _get(server, person, run, Range=f"bytes={len(head) - 9}-{len(head)}").status_code == 416
    kept = [
        int(line) for part in (head, tail) for line in part.split(b"\n") if line.endswith(b"4321") and len(line) < 7
    ]
    for backwards in (False, True):
        found: list[int] = []
        message: dict[str, Any] = {"run": run, "pattern": "4321$", "backwards": backwards}
        while True:
            answered = page.call("search", message)
            found += [each["line"] - 1 for each in answered["matches"]]
            if answered["done"]:
                break
            message["after"] = answered["searched"]
        # The hole may have cut a line, whose rest is one.
        assert [each for each in found if each in kept] == (kept[::-1] if backwards else kept)
        assert len(found) <= len(kept) + 1
    page.close()
