"""The audit record: fixed events with fixed fields, all documented, and floods of denials counted."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import audit, rights
from app.errors import LoginRequired, NotFound
from app.floods import Floods
from app.model import Run, Status, User

ROOT = Path(__file__).parents[2]
ANN, BOB = User("ann", "Ann", ""), User("bob", "Bob", "")
RUN = Run("R" * 22, "count", "Count", ANN, Status.RUNNING, 1.0, "thread")


class Kept(logging.Handler):
    """What was recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(vars(record))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, object]]]:
    """The records of this test, with no denials before."""
    monkeypatch.setattr(audit, "_denials", Floods(1, audit.REPEAT_SECONDS))
    handler, logger = Kept(), audit.logger
    logger.addHandler(handler)
    before, logger.level = logger.level, logging.INFO
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_every_event_is_documented_and_no_other() -> None:
    """docs/logs.md has a row for each event with its very fields, and the module a function for each."""
    table = (ROOT / "docs/logs.md").read_text().partition("| event |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (`.+?`) \|", table, re.MULTILINE)
    documented = {event: tuple(re.findall(r"`(\w+)`", fields)) for event, fields in rows}
    assert documented == audit.EVENTS
    functions = {name for name, _ in inspect.getmembers(audit, inspect.isfunction)}
    assert set(audit.EVENTS) - {"denied_again"} <= functions


def test_every_reason_is_documented_and_no_other() -> None:
    """docs/logs.md has a row for each reason that the code gives."""
    source = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    given = set(re.findall(r'audit\.denied\(\s*"(\w+)"', source)) | {"foreign_run", "forbidden", audit.OTHERS}
    text = (ROOT / "docs/logs.md").read_text().partition("| reason |")[2].partition("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == given


def test_each_event_has_its_fields(kept: list[dict[str, object]]) -> None:
    """Every event carries the fields that the table promises, and where the visitor came from."""
    audit.arrive("10.0.0.1", "203.0.113.5", "http:trial")
    audit.login("ann")
    audit.logout("ann")
    audit.start("ann", RUN.id, "count", {"steps": 3, "password": "hunter2"})
    audit.stop("ann", RUN.id, "count")
    audit.kill("ann", RUN.id, "count")
    audit.typed("ann", RUN.id, "count")
    audit.token_made("ann", "a-token", ["read"])
    audit.token_revoked("ann", "a-token")
    audit.download("ann", RUN.id, "count")
    audit.denied("forbidden", "bob", RUN.id, "stop")
    for record in kept:
        fields = audit.EVENTS[str(record["event"])]
        assert set(fields) <= set(record), record["event"]
        assert (record["door"], record["address"], record["forwarded"]) == ("http:trial", "10.0.0.1", "203.0.113.5")
    assert [record["event"] for record in kept] == [name for name in audit.EVENTS if name != "denied_again"]
    assert kept[2]["parameters"] == ["password", "steps"]
    assert "hunter2" not in str(kept)


def test_the_table_of_rights_records_denials(kept: list[dict[str, object]]) -> None:
    """Whoever asks the table and is refused is in the record; who may is not."""
    audit.arrive("10.0.0.2", door="socket:watch")
    with pytest.raises(LoginRequired):
        rights.require(None, rights.Action.LIST_JOBS)
    with pytest.raises(NotFound):
        rights.require(BOB, rights.Action.WATCH, RUN)
    rights.require(ANN, rights.Action.WATCH, RUN)
    assert [(record["reason"], record["user"], record["run"]) for record in kept] == [
        ("login_required", "", ""),
        ("foreign_run", "bob", RUN.id),
    ]


def test_the_same_denial_is_counted(kept: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand denials of one visitor are two records, the second with their number; another visitor's is its own."""
    monkeypatch.setattr(audit, "_denials", Floods(1, 0.0))
    sleeps = iter([None])

    def sleep(_seconds: float) -> None:
        if next(sleeps, "over") == "over":
            raise StopIteration

    audit.arrive("10.0.0.3")
    for _ in range(1000):
        audit.denied("origin", detail="https://evil.example")
    audit.arrive("10.0.0.4")
    audit.denied("origin")
    with pytest.raises(StopIteration):
        audit.tell_repetitions(sleep)
    assert [(record["event"], record["address"], record.get("count")) for record in kept] == [
        ("denied", "10.0.0.3", None),
        ("denied", "10.0.0.4", None),
        ("denied_again", "10.0.0.3", 999),
    ]
