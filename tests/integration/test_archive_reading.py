"""Reading back over log and archive: from any position one gapless sequence; by line and by time."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import StoreUnavailable
from app.feed import Piece
from app.follow import Followers
from app.model import Kind, Record, Status, Stream
from app.stack import ThreadingStack
from app.store.blocks import Block, pack
from app.viewer import Viewer
from tests.archiving import Node, lines, shown
from tests.waiting import wait_until

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("print"), st.lists(st.integers(1, 700), min_size=1, max_size=12)),
        st.tuples(st.just("note"), st.integers(1, 3)),
        st.tuples(st.just("drop"), st.integers(0, 50)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)
HALF = 4000


class Life:
    """A run whose output is appended, moved, capped and lost, in small measures."""

    def __init__(self, node: Node) -> None:
        self.node, self.dropped = node, [(0, 0)]
        self.data = b""
        self.run = node.run()
        self._resize()

    def _resize(self) -> None:
        vars(self.node.archiver).update(limit=3000, _block=900, _half=HALF)
        vars(self.node.output).update(_half=HALF)
        self.hot = self.node.archiver.open(self.run.id)

    def do(self, step: str, value: Any) -> None:
        """One step."""
        if step == "print":
            records = []
            for size in value:
                piece = (b"%d\n" % len(self.data) * size)[:size]
                records.append(Record(0, data=piece, line=self.data.count(b"\n") + 1, time=len(self.data) + 1.0))
                self.data += piece
            before = len(self.data) - sum(value)
            self.hot.appended(self.node.log.append(self.run.id, 1, before, records), len(records))
            wait_until(lambda: not self.hot.moving)
        elif step == "note":
            for _ in range(value):
                self.node.runs.change(self.run.id, (Status.QUEUED,), message="news")
        elif step == "drop":
            blocks = self.node.archive.blocks(self.run.id)
            if blocks:
                block = blocks[value % len(blocks)]
                self.node.archive.delete(self.run.id, block)
                self.dropped.append((block.start, block.end))
        else:
            position, records_now = self.hot.position, self.hot.records
            moved, moved_records = self.hot.moved, self.hot.moved_records
            self.node = self.node.again()
            self._resize()
            self.hot.position, self.hot.records = position, records_now
            self.hot.moved, self.hot.moved_records = moved, moved_records

    def check_holes(self) -> None:
        """What the names of blocks say of what is missing is what reading finds."""
        records = self.node.read(self.run)
        told = [number for each in records if each.omitted for number in range(each.start, each.position)]
        assert [number for hole in self.node.output.holes(self.run.id) for number in range(*hole)] == told

    def may_miss(self, start: int, end: int) -> bool:
        """Whether there is a reason for these bytes to be missing."""
        gone = [*self.dropped, (HALF, len(self.data) - HALF)]
        while start < end:
            reached = max((high for low, high in gone if low <= start < high), default=start)
            if reached == start:
                return False
            start = reached
        return True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=STEPS, ends=st.booleans(), cuts=st.lists(st.floats(0, 1), min_size=2, max_size=4), count=st.integers(1, 30)
)
def test_any_cursor_reads_a_gapless_sequence(
    node: Node, steps: list[tuple[str, Any]], ends: bool, cuts: list[float], count: int
) -> None:
    """Whatever was printed, moved, capped or lost: reading gives each byte that is kept once, and tells each gap."""
    life = Life(node.again())
    for step in steps:
        life.do(*step)
    if ends:
        assert life.node.runs.finish(life.run.id, 1, Status.SUCCEEDED)
        assert life.node.archiver.archive(life.run.id, len(life.data))
    for position in (0, *(int(cut * len(life.data)) for cut in cuts)):
        records = life.node.read(life.run, (position, 0), count)
        assert (records[-1].position if records else position) == len(life.data)
        for record in records:
            if record.omitted:
                assert life.may_miss(record.start, record.position), (record, life.dropped, len(life.data))
            elif record.kind is Kind.OUTPUT:
                assert record.data == life.data[record.start : record.position]
                assert record.line == life.data[: record.start].count(b"\n") + 1
        if ends:
            assert [record.kind for record in records].count(Kind.END) == 1
    life.check_holes()


@pytest.mark.parametrize("archived", [False, True])
def test_lines_are_found_with_few_reads(node: Node, archived: bool) -> None:
    """The place to read on from for a line is in the record before that line's beginning, wherever it is stored."""
    run, data = node.printed(900_000)
    if archived:
        node.retention.sweep()
    text = data.decode().splitlines()
    for line in (1, 2, 41, 42, 500, 4999, 8000, len(text)):
        position = node.output.locate(run.id, line=line)
        record = next(each for each in node.output.read(run.id, (position, 0), 9) if each.data)
        assert record.start == position
        assert record.line <= line
        after = data[position:].decode().splitlines()
        begins = record.line if position == 0 or data[position - 1 : position] == b"\n" else record.line + 1
        whole = after if begins == record.line else after[1:]
        assert whole[line - begins] == text[line - 1]
        assert line - record.line <= 4096 // 100 + 1
    assert node.output.locate(run.id, line=10**9) >= len(data) - 4096


@pytest.mark.parametrize("archived", [False, True])
def test_times_are_found(node: Node, archived: bool) -> None:
    """The place for a time is the beginning of the first record of that time or later."""
    run = node.run()
    hot, position = node.archiver.open(run.id), 0
    for second in range(200):
        record = Record(0, data=b"x" * 4000, line=1, time=1000.0 + second)
        position = node.log.append(run.id, 1, position, [record])
        hot.appended(position, 1)
    wait_until(lambda: not hot.moving)
    if archived:
        assert node.runs.finish(run.id, 1, Status.SUCCEEDED)
        node.retention.sweep()
    for second in (0, 1, 33, 150, 199):
        assert node.output.locate(run.id, time=1000.0 + second) == second * 4000
        assert node.output.locate(run.id, time=999.5 + second) == second * 4000
    assert node.output.locate(run.id, time=1e10) == position


def test_a_place_in_what_was_left_out_is_before_the_gap(node: Node) -> None:
    """A line that the cap took is looked for from the head's end on: readers meet the gap and what follows it."""
    run, data = node.printed(5_000_000)
    gap = next(record for record in node.read(run) if record.omitted)
    line = data[: (gap.start + gap.position) // 2].count(b"\n") + 1
    position = node.output.locate(run.id, line=line)
    assert gap.start - 4096 <= position <= gap.start


def test_an_empty_run_has_bounds_and_places(node: Node) -> None:
    """Before anything is printed each question has an answer, also for a run that nobody knows."""
    for run in (node.run(), node.again().printed(0)[0]):
        assert node.output.bounds(run.id) == (0, 0)
        assert node.output.locate(run.id, line=5) == node.output.locate(run.id, time=5.0) == 0
    assert node.output.bounds("A" * 22) == (0, 0)
    assert node.output.read("A" * 22, (0, 0), 5) == []


def test_bounds_after_the_beginning_was_lost(node: Node) -> None:
    """Where the first blocks are gone, what is kept begins later."""
    run, _ = node.printed(900_000)
    blocks = node.archive.blocks(run.id)
    node.archive.delete(run.id, blocks[0])
    assert node.output.bounds(run.id) == (blocks[0].end, 900_000)


def test_a_run_that_is_deleted_while_it_is_read_ends(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader between log and archive at the moment of deletion gets no gap, but the end of what there is."""
    run, _ = node.printed(300_000)
    node.retention.sweep()
    listing = node.archive.blocks

    def deleted(run_id: str) -> Any:
        monkeypatch.setattr(node.archive, "blocks", listing)
        assert node.retention.delete(run_id)
        return listing(run_id)

    monkeypatch.setattr(node.archive, "blocks", deleted)
    assert node.output.read(run.id, (0, 0), 10) == []


def test_a_block_that_the_cap_takes_while_it_is_read_is_a_gap(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the list of blocks and the reading of one it may go: then the list is asked again."""
    run, data = node.printed(900_000)
    blocks = node.archive.blocks(run.id)
    get = node.archive.get

    def gone(run_id: str, block: Any) -> bytes:
        monkeypatch.setattr(node.archive, "get", get)
        for each in blocks[:2]:
            node.archive.delete(run_id, each)
        return get(run_id, block)

    monkeypatch.setattr(node.archive, "get", gone)
    assert shown(node.read(run)) == b"<%d>" % blocks[1].end + data[blocks[1].end :]


def test_an_archive_out_of_reach_is_no_gap(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder cannot be read now, readers are told so and try again, and nothing is called missing."""
    run, data = node.printed(900_000)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda _path: (_ for _ in ()).throw(OSError(errno.EACCES, "no rights")))
        with pytest.raises(StoreUnavailable, match="The archive cannot be read: no rights"):
            node.read(run)
    assert shown(node.read(run)) == data


def test_a_log_that_forgot_its_end_is_believed(node: Node) -> None:
    """After a power cut the archive may be ahead of the log: what the log says is the end."""
    run = node.run()
    data = lines(8000)
    node.log.append(run.id, 1, 0, [Record(0, data=data[:4000])])
    ahead = [Record(4000, data=data[:4000], line=1), Record(8000, data=data[4000:], line=41)]
    block = Block.of(ahead)
    node.archive.put(run.id, block, pack(ahead))
    assert node.runs.finish(run.id, 1, Status.LOST)
    assert node.archiver.archive(run.id, 4000)
    records = node.read(run)
    assert shown(records) == data[:4000]
    assert records[-1].kind is Kind.END


def test_a_recorder_goes_on_at_the_line_where_it_was(node: Node) -> None:
    """Lines are numbered over both outputs, as in the downloaded file."""
    run = node.run()
    recorder = node.recorder(run)
    recorder.store(recorder.prepare([(Stream.OUT, b"1\n2\n"), (Stream.ERR, b"3\n"), (Stream.OUT, b"4")]))
    assert [record.line for record in node.read(run) if record.data] == [1, 3, 4]


@pytest.mark.parametrize("step", ["begun", "done"])
def test_a_viewer_of_a_deleted_run_is_let_go(node: Node, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Somebody who is behind when the run is deleted gets no gap, and is not served for ever."""
    run, data = node.printed(600_000)
    stack = ThreadingStack()
    followers = Followers(stack, node.log, node.output, node.runs, is_local=lambda _run: False, message_bytes=65_536)
    pieces: list[Piece] = []
    viewer = Viewer(
        run.id, 0, pieces.append, lambda _run: None, lambda _end: None, lambda: True, 65_536, stack.signal()
    )
    followers.watch(viewer)
    wait_until(lambda: pieces and not viewer.takes(65_536))
    if step == "begun":
        monkeypatch.setattr(
            node.archive, "delete_run", lambda _run: (_ for _ in ()).throw(OSError(errno.EIO, "broken"))
        )
    assert node.retention.delete(run.id) == (step == "done")

    def ended() -> bool:
        viewer.acknowledge(viewer.position)
        return viewer.closed

    wait_until(ended)
    assert "".join(piece.text for piece in pieces) == data[: viewer.position].decode()
    assert not any(piece.omitted for piece in pieces)
