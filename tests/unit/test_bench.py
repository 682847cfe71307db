"""The benchmark's own arithmetic, its report and its picture: figures that nobody checked are worth nothing."""

from __future__ import annotations

import json
import socket
import struct
import threading
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.checks import Wrong, check_numbers, check_shuffled
from bench.clients import latencies, read_pieces, text_of
from bench.figures import Aim, Figure, Round, Sheet, medians, percentile, ratio
from bench.picture import picture
from bench.report import BEGIN, END, Report, figures, load, save, table, write_table
from bench.wire import Wire
from bench.workloads import WORKLOADS

MACHINE: dict[str, object] = {
    "processor": "A processor",
    "cores": 2,
    "memory_gb": 8.0,
    "system": "Linux",
    "python": "CPython 3.11",
    "async_stack": "eventlet",
    "packages": {"eventlet": "0.40"},
}


def _round(product: float, buffered: float, p99: float) -> Round:
    latency = {"p50": 0.5, "p99": p99, "p100": 2 * p99}
    return {
        "short": {"product": product, "buffered": buffered, "naive": 15_000.0},
        **{f"stamped.{share}": {"product": value, "unbuffered": value / 2} for share, value in latency.items()},
    }


def _report() -> Report:
    first = [_round(900_000, 1_000_000, 1.5), _round(700_000, 1_000_000, 1.5), _round(860_000, 1_000_000, 9.0)]
    second = [_round(600_000, 1_000_000, 3.0)]
    return Report(rounds=3, machine=MACHINE, times=["a", "b"], runs=[first, second])


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (90, 90), (99, 99), (99.5, 100), (100, 100)]
)
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    """Of 1 to 100 in any order, the n-th percentile is n."""
    assert percentile(reversed(range(1, 101)), share) == expected


def test_percentiles_of_few_values() -> None:
    """One value is all of its percentiles; none has none."""
    assert [percentile([7.0], share) for share in (0, 50, 99, 100)] == [7.0] * 4
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_round_is_compared_with_itself() -> None:
    """The ratio is the median of each round's own, not that of two medians."""
    rounds: list[Round] = [
        {"x": {"product": product, "buffered": buffered}} for product, buffered in ((1, 1), (10, 100), (30, 60))
    ]
    assert ratio(rounds, "x", "buffered") == 0.5
    assert medians(rounds, "x") == {"product": 10, "buffered": 60}
    assert ratio(rounds, "x", "naive") is None
    assert ratio(rounds, "y", "buffered") is None


def test_an_aim_is_met_or_not_or_unknown() -> None:
    """A limit needs the product's figure alone, a share the floor's too."""
    assert [Aim(2).met({"product": value}) for value in (1.9, 2.0, 2.1)] == [True, True, False]
    share = Aim(share=0.8)
    assert [share.met({"product": value, "buffered": 10}) for value in (8, 7.9)] == [True, False]
    assert share.met({"product": 8}) is None
    assert Aim(2).met({"naive": 1}) is None
    assert (Aim(0).text, share.text) == ("≤ 0", "≥ 0.8 of buffered")


def test_a_sheet_spreads_many_values() -> None:
    """What came of many lines is kept as percentiles."""
    sheet = Sheet()
    sheet.spread("x", "product", [float(number) for number in range(1, 201)])
    assert {key: values["product"] for key, values in sheet.values.items()} == {
        "x.p50": 100,
        "x.p90": 180,
        "x.p99": 198,
        "x.p100": 200,
    }


def test_no_two_figures_have_one_key() -> None:
    """Each row of the table has its own numbers, and a title that a table takes."""
    rows: list[Figure] = [figure for workload in WORKLOADS.values() for figure in workload.figures]
    assert len({figure.key for figure in rows}) == len(rows)
    assert not [figure.title for figure in rows if "|" in figure.title]


def test_the_table_has_a_column_for_each_run() -> None:
    """Medians of each run, floors and ratio over all rounds, and in how many runs an aim was met."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(_report()).splitlines()]
    assert rows[0] == ["workload", "unit", "run 1", "run 2", "buffered", "unbuffered", "naive", "ratio", "aim", "met"]
    assert all(len(row) == len(rows[0]) for row in rows)
    short, _, slow = rows[2:]
    assert short[2:] == ["860,000", "600,000", "1,000,000", "", "15,000", "0.78", "≥ 0.8 of buffered", "1 of 2"]
    assert slow[2:] == ["1.50", "3.00", "", "1.12", "", "2.00", "≤ 2", "1 of 2"]


def test_an_aim_that_no_run_met_stands_out() -> None:
    """A figure that is not good enough is not to be overlooked."""
    report = _report()
    report.runs = report.runs[1:]
    assert "| 3.00 |" in table(report)
    assert table(report).count("**no**") == 2


def test_what_was_not_measured_has_no_row() -> None:
    """A report of some workloads is a short one."""
    assert [figure.key for figure in figures(_report())] == ["short", "stamped.p50", "stamped.p99"]


def test_a_report_is_read_back(tmp_path: Path) -> None:
    """The file has every figure of every round, so that a table can be made of it again."""
    save(_report(), tmp_path / "all.json")
    assert load(tmp_path / "all.json") == _report()
    assert json.loads((tmp_path / "all.json").read_text())["runs"][1][0]["short"]["product"] == 600_000


def test_the_page_keeps_its_text(tmp_path: Path) -> None:
    """Only what is between the marks changes; a page without them is left alone."""
    page = tmp_path / "page.md"
    begin, end = BEGIN.format("thread"), END.format("thread")
    page.write_text(f"# Before\n\n{begin}old figures\n{end}\nAfter.\n")
    write_table(_report(), page)
    text = page.read_text()
    assert text.startswith(f"# Before\n\n{begin}\nA processor, 2 cores")
    assert text.endswith(f"{end}\nAfter.\n")
    assert "old figures" not in text
    write_table(_report(), page)
    assert page.read_text() == text
    page.write_text("# Nothing\n")
    with pytest.raises(SystemExit, match="there are no lines"):
        write_table(_report(), page)
    assert page.read_text() == "# Nothing\n"


def test_the_picture_is_drawn_to_scale() -> None:
    """Bars are as long as their figures say, the aim stands at its place, and the whole is well-formed."""
    found = ElementTree.fromstring(picture(_report()))  # noqa: S314 - made here
    space = "{http://www.w3.org/2000/svg}"
    bars = [each.attrib for each in found.iter(f"{space}rect") if float(each.attrib["x"]) == 390]
    widths = {each["class"]: float(each["width"]) for each in bars if each["y"] != "12"}
    assert widths["product"] / widths["buffered"] == pytest.approx(0.78, abs=0.01)
    aim = next(each for each in found.iter(f"{space}line") if each.get("class") == "aim" and each.get("y1") != "12")
    assert float(aim.attrib["x1"]) == pytest.approx(390 + 0.8 * widths["buffered"], abs=0.2)
    texts = "".join(each.text or "" for each in found.iter(f"{space}text"))
    assert "780,000" in texts
    assert "0.50 / 2.25" in texts


def test_a_picture_of_little_is_a_picture() -> None:
    """Workloads that were not measured are missing, and nothing else."""
    report = Report(machine=MACHINE, runs=[[{"memory": {"product": 1.0}}]])
    assert ElementTree.fromstring(picture(report)).tag.endswith("svg")  # noqa: S314 - made here


@pytest.mark.parametrize("text", ["0\n1\n", "0\n1\n2", "0\n2\n1\n", "0\n1\n1\n2\n", "0\n1\n2\n3\n", "0\n12\n\n", ""])
def test_wrong_output_has_no_figure(text: str) -> None:
    """Lines that are missing, cut, moved, repeated, too many or merged are found."""
    with pytest.raises(Wrong):
        check_numbers(text, 3)
    check_numbers("000\n001\n002\n", 3, width=3)


def test_lines_of_several_threads_may_be_in_any_order_but_whole() -> None:
    """Two halves of two lines are not two lines."""
    check_shuffled("2\n0\n1\n", 3)
    for text in ("0\n1\n", "0\n1\n1\n", "0\n1\n\n2\n", "01\n\n2\n"):
        with pytest.raises(Wrong):
            check_shuffled(text, 3)


def _packet(run: str, start: int, text: str, **more: object) -> bytes:
    message = {"run": run, "data": text, "start": start, "position": start + len(text), **more}
    return b"42" + json.dumps(["output", message]).encode()


def test_output_is_read_by_its_positions() -> None:
    """Runs are told apart; a gap, a repetition and what is not stored are found."""
    packets = [(2_000_000, _packet("a", 0, "1000000\n")), (3, _packet("b", 0, "x")), (4, _packet("a", 8, "7\n"))]
    pieces = read_pieces(packets, "a")
    assert text_of(pieces) == "1000000\n7\n"
    assert latencies(pieces[:1]) == [1.0]
    for wrong in (_packet("a", 11, "z"), _packet("a", 8, "z"), _packet("a", 10, "", omitted=5)):
        with pytest.raises(Wrong):
            read_pieces([*packets, (5, wrong)], "a")


def _frame(code: int, data: bytes) -> bytes:
    size = len(data)
    if size < 126:
        return struct.pack("!BB", 0x80 | code, size) + data
    if size < 65_536:
        return struct.pack("!BBH", 0x80 | code, 126, size) + data
    return struct.pack("!BBQ", 0x80 | code, 127, size) + data


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_the_client_finds_frames_wherever_reads_end(step: int) -> None:
    """Messages of all lengths, pings among them, come whole and in order, however the bytes are cut up."""
    messages = [b"a", b"b" * 125, b"c" * 126, b"d" * 3000, b"e" * (70_000 if step > 10 else 200)]
    stream = b"".join(_frame(0x9, b"ping") + _frame(0x1, message) for message in messages) + _frame(0x8, b"")
    answers: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        with peer:
            peer.recv(65_536)
            whole = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n" + stream
            for start in range(0, len(whole), step):
                peer.sendall(whole[start : start + step])
            peer.settimeout(10)
            while len(b"".join(answers)) < 10 * len(messages):
                answers.append(peer.recv(65_536))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        wire = Wire(listening.getsockname()[1], "/")
        found: list[bytes] = []
        while len(found) < len(messages):
            found += wire.receive()
        server.join(10)
        assert found == messages
        assert b"".join(answers) == (b"\x8a\x84" + bytes(4) + b"ping") * len(messages)
        # Perhaps the last frame has not been read yet: it says that there is no more.
        with pytest.raises(ConnectionError):
            [*iter(wire.receive, None)]
        wire.close()


@pytest.mark.parametrize("taken_up", [True, False])
def test_a_client_that_measures_compression_gets_it_or_says_so(taken_up: bool) -> None:
    """What came compressed is counted; a server that takes no notice of the offer is no server to measure."""
    packer = zlib.compressobj(wbits=-15)
    data = (packer.compress(b"0\n1\n2\n") + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")
    extension = b"\r\nSec-WebSocket-Extensions: permessage-deflate" if taken_up else b""

    def serve(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        with peer:
            assert b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" in peer.recv(65_536)
            peer.sendall(b"HTTP/1.1 101 Switching" + extension + b"\r\n\r\n" + _frame(0x41, data) + _frame(0x1, b"3\n"))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        port = listening.getsockname()[1]
        if taken_up:
            wire = Wire(port, "/", deflate=True)
            found: list[bytes] = []
            while len(found) < 2:
                found += wire.receive()
            assert (found, wire.inflated) == ([b"0\n1\n2\n", b"3\n"], 6)
            wire.close()
        else:
            with pytest.raises(ConnectionError, match="not taken up"):
                Wire(port, "/", deflate=True)
        server.join(10)
