"""Runs as hashes of texts, and what notes tell of them."""

from __future__ import annotations

from dataclasses import replace

from app.model import Run, Status, User
from app.store.fields import changes_of, fields_of, run_of
from app.store.note_scripts import CHANGING

RUN = Run(
    id="r",
    job="j",
    title="J",
    user=User("1", "Ann", ""),
    status=Status.RUNNING,
    created=1.0,
    executor="process",
    params={"name": "\u2026"},
    started=2.0,
    progress=(1.0, 3.0),
    message="so far",
    stage={"name": "ask"},
)


def as_stored(run: Run, names: tuple[str, ...] | None = None) -> dict[bytes, bytes]:
    """The hash of a run, or some fields of it, as the store gives it."""
    return {
        name.encode(): str(value).encode() for name, value in fields_of(run).items() if names is None or name in names
    }


def test_a_note_has_all_that_it_takes_to_tell_a_change() -> None:
    """What the scripts put into a note makes, with the run as it was, the same run as its hash does."""
    now = replace(RUN, status=Status.STOPPING, exit_code=3, omitted=5, position=9, epoch=2, node="n", signal="SIGINT")
    changes = changes_of(as_stored(now, CHANGING))
    assert set(changes) == set(CHANGING)
    assert replace(RUN, **changes) == run_of("r", as_stored(now)) == now
    assert changes_of({}) == {}
