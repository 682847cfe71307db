"""Typed code that will not end, takes too much or says what is not true: it ends, and nothing of it is left."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.integration.typed_fixture import ended, typed, whole
from tests.serving import Page, Server
from tests.waiting import wait_until


def test_stop_is_a_keyboard_interrupt(typed_page: Page) -> None:
    """Stop of an endless loop: the code may catch it and clean up; without that it ends as well."""
    for source, text in [
        (
            "try:\n    print('begun')\n    while True: x = 1\nexcept KeyboardInterrupt:\n    print('cleaned up')",
            "cleaned up",
        ),
        ("print('begun')\nwhile True: pass", "KeyboardInterrupt"),
        ("print('begun')\ninput('waits')", "KeyboardInterrupt"),
        ("import time\nprint('begun')\nawait __import__('asyncio').sleep(100)", "KeyboardInterrupt"),
    ]:
        run = typed(typed_page, source)
        typed_page.wait_for_text(run, "begun")
        assert typed_page.call("stop_request", {"run": run})["ok"]
        record = typed_page.wait_for_end(run)
        assert record["status"] == "stopped"
        assert text in whole(typed_page, run, record["position"])


def test_stop_reaches_a_handler_whose_code_is_over(typed_page: Page) -> None:
    """The code has come to its end and its threads go on: its own handler hears of Stop, and they clean up."""
    source = """
import signal, threading, time
stop = threading.Event()
signal.signal(signal.SIGINT, lambda *_: stop.set())
def work():
    time.sleep(1)
    print("begun", flush=True)
    stop.wait(60)
    print("cleaned up", flush=True)
threading.Thread(target=work).start()
"""
    run = typed(typed_page, source)
    typed_page.wait_for_text(run, "begun")
    assert typed_page.call("stop_request", {"run": run})["ok"]
    record = typed_page.wait_for_end(run)
    assert (record["status"], record["exit_code"]) == ("stopped", 0)
    assert whole(typed_page, run, record["position"]) == "begun\ncleaned up\n"


def test_a_stop_beside_the_end_is_one_or_the_other(typed_page: Page) -> None:
    """However close they are, what runs the code is in no traceback, and the exit code is the code's or Stop's."""
    for turn in range(8):
        run = typed(typed_page, f"import time\nprint('begun', flush=True)\ntime.sleep({turn / 200})")
        typed_page.wait_for_text(run, "begun")
        typed_page.call("stop_request", {"run": run})
        record = typed_page.wait_for_end(run)
        assert (record["status"], record["exit_code"]) in (("succeeded", 0), ("stopped", 0), ("stopped", 130)), record
        said = whole(typed_page, run, record["position"])
        assert "inside/code.py" not in said
        assert "Exception ignored" not in said


def test_what_ignores_every_signal_is_killed(typed_page: Page, typed_site: Server) -> None:
    """SIGINT and SIGTERM ignored, children in sessions of their own: all of it is gone when `killed` is shown."""
    source = """
import os, signal, time
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if not os.fork():
        os.setsid()
        while True: time.sleep(1)
print('begun')
while True: time.sleep(1)
"""
    run = typed(typed_page, source)
    typed_page.wait_for_text(run, "begun")
    assert typed_page.call("stop_request", {"run": run})["ok"]
    assert typed_page.wait_for_end(run)["status"] == "killed"
    assert not [line for line in typed_site.processes.values() if "inside.enter" in line]


def test_a_memory_bomb_over_many_processes_ends_the_run(typed_page: Page) -> None:
    """Each process is below the limit, and all of them together are not."""
    source = """
import os, time
for _ in range(12):
    if not os.fork():
        held = b"x" * 60_000_000
        time.sleep(60)
time.sleep(60)
"""
    record, _ = ended(typed_page, source)
    assert record["status"] == "failed"
    assert "memory" in record["message"]


def test_filling_the_folder_ends_in_an_error(typed_page: Page) -> None:
    """The code gets an error, or the run is ended with a sentence."""
    record, text = ended(
        typed_page,
        "for n in range(100):\n    with open(f'{n}', 'wb') as f: f.write(bytes(500_000))\nimport time; time.sleep(20)",
    )
    assert record["status"] == "failed"
    assert "No space left" in text or "filled its folder" in record["message"]


@pytest.mark.parametrize(
    "said",
    [
        r"b'no json\n' * 2000",
        r"b'[' * 100_000 + b'\n'",
        r"""b'{"say": "ended", "exit_code": 0, "message": "forged"}\n'""",
        r"""b'{"say": "input?", "prompt": {"a": "\\ud800"}}\n' * 500""",
        r"""b'{"say": "input?", "prompt": "\\ud800"}\n' * 500""",
        r"""b'{"say": "progress", "progress": [NaN, Infinity]}\n{"say": "progress", "progress": [1, 1e400]}\n'""",
        r"""b'{"say": "progress", "progress": ' + b'9' * 4000 + b'}\n[]\n5\nnull\n{"say": []}\n'""",
        r"""b'{"say": "token?"}\n' * 3000""",
        r"""b'{"say": "ended", "exit_code": 5, "message": "\\ud800"}\n'""",
        r"b'x' * 3_000_000",
        r"""b'{"say": "begun", "x": 1}\n' * 50_000""",
    ],
)
def test_a_hostile_control_socket_harms_nobody(typed_page: Page, said: str) -> None:
    """Whatever the code says on the socket to its supervisor, its end is that of its process, and others go on."""
    source = f"""
import os, socket
control = socket.socket(fileno=os.dup(3))
control.settimeout(5)
try:
    control.sendall({said})
except OSError:
    pass
print("alive")
os._exit(5)
"""
    record, text = ended(typed_page, source)
    assert "alive" in text
    assert record["status"] == "failed"
    assert record["exit_code"] == 5
    assert record["progress"] is None
    assert ended(typed_page, "6 * 7")[1] == "42\n"


def test_nothing_of_ended_runs_is_left(typed_page: Page, typed_site: Server) -> None:
    """After all of these no process and no folder is left."""
    ended(typed_page, "open('left', 'w').write('x')")
    assert not [line for line in typed_site.processes.values() if "inside.enter" in line]
    wait_until(lambda: not list(Path(tempfile.gettempdir()).glob(f"typed-{_runner(typed_site)}-*")))


def _runner(site: Server) -> int:
    return next(pid for pid, command in site.processes.items() if "app runner" in command)
