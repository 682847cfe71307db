"""Code that is typed in the browser, from Start to end: by the page's socket, the queue, a runner, a sandbox."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.simulator_fixture import Simulator
from tests.levels import LEVELS
from tests.server_fixture import settings_for
from tests.serving import Page, Server, running_server
from tests.waiting import wait_until


@pytest.fixture(scope="module", params=LEVELS)
def site(
    request: pytest.FixtureRequest, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with a store of its own, whose runner has a sandbox of each level that isolates."""
    folder = tmp_path_factory.mktemp("typed")
    settings = settings_for(Path("-"), _shared_simulator, folder)
    del settings["REDIS_URL"]
    settings |= {
        "DATA_DIR": str(folder / "data"),
        "SANDBOX": request.param,
        "SANDBOX_MINIMUM": request.param,
        "STAGE_SECONDS": "0.5",
        "CODE_MEMORY_MEGABYTES": "192",
        "CODE_PROCESSES": "32",
        "CODE_DISK_MEGABYTES": "4",
    }
    with running_server(folder / "log", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def visitor(site: Server) -> requests.Session:
    """Somebody who is logged in there."""
    return site.log_in()


@pytest.fixture
def page(site: Server, visitor: requests.Session) -> Iterator[Page]:
    """That person's page."""
    opened = site.page(visitor)
    yield opened
    opened.close()
    assert opened.gaps == []


def typed(page: Page, source: str) -> str:
    """The id of a new run of this code."""
    return page.start("code", source=source)


def ended(page: Page, source: str) -> tuple[dict[str, Any], str]:
    """Such a run's record after its end, and its output."""
    run = typed(page, source)
    record = page.wait_for_end(run)
    return record, page.wait_for_text(run, "") if not record["position"] else _whole(page, run, record["position"])


def _whole(page: Page, run: str, position: int) -> str:
    with page.changed:
        assert page.changed.wait_for(lambda: page.positions.get(run, 0) >= position, 20)
    return page.text(run)


def answer(page: Page, run: str, line: str | None, prompt: str) -> None:
    """Wait until the run asks so, and type a line, or the end of all input."""
    with page.changed:
        asked = page.changed.wait_for(lambda: page.statuses.get(run, {}).get("asks") == prompt, 30)
    assert asked, page.statuses.get(run)
    message = {"run": run, "eof": True} if line is None else {"run": run, "line": line}
    assert page.call("input", message)["ok"]


def test_output_and_the_last_value_are_shown(page: Page) -> None:
    """What is printed comes, stderr too, and the last expression's value as a REPL shows it; other values do not."""
    record, text = ended(page, "import sys\n1\nprint('é ☃')\nprint('err', file=sys.stderr)\n{'a': [1, 2]}\n")
    assert record["status"] == "succeeded"
    assert record["params"] == {"source": "import sys\n1\nprint('é ☃')\nprint('err', file=sys.stderr)\n{'a': [1, 2]}\n"}
    assert sorted(text.splitlines()) == ["err", "{'a': [1, 2]}", "é ☃"]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("None", ""),
        ("x = 5", ""),
        ("", ""),
        ("# only a comment", ""),
        ("    ", ""),
        ("'text'", "'text'\n"),
        ("1\n_", None),
        ("await __import__('asyncio').sleep(0.01, 'later')", "'later'\n"),
        ("import asyncio\nawait asyncio.sleep(0)\nasync with asyncio.timeout(1):\n    x = 3\nx", "3\n"),
        ("from __future__ import annotations\ndef f(a: nowhere): ...\nf.__annotations__['a']", "'nowhere'\n"),
        ("def f():\n    return __name__\nf()", "'__main__'\n"),
        ("import __main__\nvalue = 7\n__main__.value", "7\n"),
        ("x = 1;", ""),
        ("if True:\n    5", ""),
        ("print('no end', end='')", "no end"),
        ("print(ascii('\\x00'))", "'\\x00'\n"),
    ],
)
def test_values_are_those_of_a_repl(page: Page, source: str, shown: str | None) -> None:
    """Each kind of last line; statements show nothing."""
    record, text = ended(page, source)
    if shown is None:
        assert record["status"] == "failed"
    else:
        assert record["status"] == "succeeded", text
        assert text == shown


def test_tracebacks_point_at_the_editors_lines(page: Page) -> None:
    """The frames are the editor's, with its lines; nothing of ours is among them; the message names the exception."""
    record, text = ended(page, "def f(n):\n    return 1 / n\n\nf(0)\n")
    assert record["status"] == "failed"
    assert record["exit_code"] == 1
    assert record["message"] == "ZeroDivisionError: division by zero"
    assert text.startswith('Traceback (most recent call last):\n  File "<editor>", line 4, in <module>\n    f(0)\n')
    assert 'File "<editor>", line 2, in f\n    return 1 / n\n' in text
    assert "inside" not in text
    assert "runpy" not in text


def test_chained_and_grouped_exceptions_are_shown_whole(page: Page) -> None:
    """The cause of an exception and the members of a group have their lines, too."""
    _, text = ended(
        page,
        "try:\n    {}['a']\nexcept KeyError as error:\n    raise ExceptionGroup('g', [ValueError('v')]) from error",
    )
    assert "File \"<editor>\", line 2, in <module>\n    {}['a']" in text
    assert "direct cause" in text
    assert "ValueError: v" in text


def test_a_syntax_error_shows_its_place(page: Page) -> None:
    """The line, with a mark below what is wrong."""
    record, text = ended(page, "print('never')\nif True\n    pass\n")
    assert record["status"] == "failed"
    assert "File \"<editor>\", line 2\n    if True\n           ^\nSyntaxError: expected ':'" in text
    assert "never" not in text


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("import sys; sys.exit(3)", 3, "exit code 3"),
        ("raise SystemExit('enough')", 1, ""),
        ("import os; os._exit(9)", 9, "exit code 9"),
        ("exit()", 0, ""),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
    ],
)
def test_exit_codes_are_pythons(page: Page, source: str, code: int, message: str) -> None:
    """However the code ends, its exit code is shown."""
    record, _ = ended(page, source)
    assert record["exit_code"] == code
    assert record["status"] == ("failed" if code else "succeeded")
    assert message in record["message"]


def test_a_crash_names_its_signal(page: Page) -> None:
    """Code that crashes the interpreter ends by a signal, and the next run is well."""
    record, _ = ended(page, "import ctypes; ctypes.string_at(0)")
    assert record["status"] == "failed"
    assert record["signal"] == "SIGSEGV"
    assert ended(page, "6 * 7")[1] == "42\n"


def test_input_asks_and_gets_the_typed_line(page: Page) -> None:
    """`input`, `sys.stdin` and `getpass` ask on the page; the end of the input is EOFError; answers are echoed."""
    source = """
import getpass, sys
name = input("Your name? ")
print("hello", name)
print(repr(sys.stdin.readline()))
print(len(getpass.getpass("Secret: ")))
try:
    input()
except EOFError:
    print("no more")
"""
    run = typed(page, source)
    answer(page, run, "Ana Ünal", "Your name? ")
    answer(page, run, "second line", "")
    answer(page, run, "hidden words", "Secret: ")
    answer(page, run, None, "")
    record = page.wait_for_end(run)
    assert record["status"] == "succeeded"
    assert record["asks"] is None
    text = _whole(page, run, record["position"])
    assert text == "Your name? Ana Ünal\nhello Ana Ünal\nsecond line\n'second line\\n'\nSecret: \n12\nno more\n"
    assert "hidden words" not in text


def test_lines_typed_before_they_are_asked_for_wait_in_order(page: Page) -> None:
    """Lines that come early are read one by one."""
    run = typed(page, "import sys\nprint(input('go? '))\nprint([sys.stdin.readline() for _ in range(3)])")
    for line in ("one", "two", "three", "four"):
        assert page.call("input", {"run": run, "line": line})["ok"]
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert "['two\\n', 'three\\n', 'four\\n']" in page.text(run)


def test_lines_that_nobody_reads_are_bounded(page: Page) -> None:
    """A run that reads nothing gets a hundred lines at most; what then comes is refused clearly."""
    run = typed(page, "import time\nprint('begun')\ntime.sleep(600)")
    page.wait_for_text(run, "begun")
    answers = [page.call("input", {"run": run, "line": f"line {number}"}) for number in range(101)]
    assert all(each["ok"] for each in answers[:100])
    assert answers[100]["error"]["code"] == "too_many"
    assert page.call("stop_request", {"run": run})["ok"]
    page.wait_for_end(run)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, "bad_request"),
        ({"line": 5}, "bad_request"),
        ({"line": "two\nlines"}, "bad_request"),
        ({"line": "x" * 10_001}, "bad_request"),
        ({"line": "x", "eof": True}, "bad_request"),
        ({"eof": "yes"}, "bad_request"),
        ({"line": "x", "run": "A" * 22}, "not_found"),
        ({"line": "x", "run": "../x"}, "not_found"),
        ({"line": "x", "run": None}, "bad_request"),
    ],
)
def test_hostile_input_gets_clear_errors(page: Page, message: dict[str, Any], code: str) -> None:
    """Wrong, huge and foreign input is refused, and the run goes on waiting."""
    run = typed(page, "print(input('?'))")
    assert page.call("input", {"run": run, **message})["error"]["code"] == code
    answer(page, run, "good", "?")
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert page.call("input", {"run": run, "line": "late"})["error"]["code"] == "not_waiting"


def test_others_cannot_type_into_a_run(site: Server, page: Page) -> None:
    """A foreign run's input is refused like that of an unknown run."""
    run = typed(page, "print(input('?'))")
    other = site.page(site.log_in(1))
    assert other.call("input", {"run": run, "line": "mine"})["error"]["code"] == "not_found"
    other.close()
    answer(page, run, "own", "?")
    assert "own" in page.wait_for_text(run, "own\nown")


def test_stop_is_a_keyboard_interrupt(page: Page) -> None:
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
        run = typed(page, source)
        page.wait_for_text(run, "begun")
        assert page.call("stop_request", {"run": run})["ok"]
        record = page.wait_for_end(run)
        assert record["status"] == "stopped"
        assert text in _whole(page, run, record["position"])


def test_what_ignores_every_signal_is_killed(page: Page, site: Server) -> None:
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
    run = typed(page, source)
    page.wait_for_text(run, "begun")
    assert page.call("stop_request", {"run": run})["ok"]
    assert page.wait_for_end(run)["status"] == "killed"
    assert not [line for line in site.processes.values() if "inside.enter" in line]


def test_a_memory_bomb_over_many_processes_ends_the_run(page: Page) -> None:
    """Each process is below the limit, and all of them together are not."""
    source = """
import os, time
for _ in range(12):
    if not os.fork():
        held = b"x" * 60_000_000
        time.sleep(60)
time.sleep(60)
"""
    record, _ = ended(page, source)
    assert record["status"] == "failed"
    assert "memory" in record["message"]


def test_filling_the_folder_ends_in_an_error(page: Page) -> None:
    """The code gets an error, or the run is ended with a sentence."""
    record, text = ended(
        page,
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
def test_a_hostile_control_socket_harms_nobody(page: Page, said: str) -> None:
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
    record, text = ended(page, source)
    assert "alive" in text
    assert record["status"] == "failed"
    assert record["exit_code"] == 5
    assert record["progress"] is None
    assert ended(page, "6 * 7")[1] == "42\n"


def test_too_much_code_is_refused_clearly(page: Page) -> None:
    """Code beyond the bound is refused with a sentence; code at the bound runs, and is in the history."""
    refused = page.call("start_request", {"job": "code", "params": {"source": "#" * 100_001}})
    assert refused["error"]["code"] == "invalid_parameters"
    assert "source" in refused["error"]["fields"]
    for wrong in (5, None, "\ud800", ["x"]):
        refused = page.call("start_request", {"job": "code", "params": {"source": wrong}})
        assert refused["error"]["code"] == "invalid_parameters"
    for source in ("#" * 99_990 + "\n1 + 1", "'" + "☃" * 99_990 + "'[0]"):
        record, _ = ended(page, source)
        assert record["status"] == "succeeded"
        assert record["params"]["source"] == source


def test_a_flood_is_stored_whole(page: Page, site: Server, visitor: requests.Session) -> None:
    """Many lines, from Python and from a program, arrive without a gap."""
    record, _ = ended(
        page, "for n in range(100_000): print(n)\nimport subprocess; subprocess.run(['echo', 'end']) and None"
    )
    assert record["status"] == "succeeded"
    stored = site.output(visitor, record["id"]).decode().splitlines()
    assert stored[:100_000] == [str(number) for number in range(100_000)]
    assert stored[100_000] == "end"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("print('a', end='')\nimport subprocess\nsubprocess.run(['echo', 'b'])\nprint('c')", "ab\nc\n"),
        (
            "import os\nprint('a', end='')\nif not os.fork(): print('child') or os._exit(0)\nos.wait()\nprint('b')",
            None,
        ),
        ("import os\nprint('a', end='')\nos._exit(0)", "a"),
        ("import os\nprint('a', end='')\nos.execvp('echo', ['echo', 'b'])", "ab\n"),
        ("import threading\nthreading.Timer(0.3, print, ['later']).start()\nprint('now')", "now\nlater\n"),
        ("import atexit\natexit.register(print, 'at exit')\nprint('now')", "now\nat exit\n"),
        ("import sys\nsys.stdout.close()\nsys.stderr.write('b')\nNone", "b"),
        ("import sys\nsys.stdout.buffer.write(b'bytes\\n') and None", "bytes\n"),
        ("import ctypes\nctypes.CDLL(None).puts(b'from C') and None", "from C\n"),
        # What reads a lot at once cannot tell which of the two came first; an error comes last.
        ("import sys\nfor n in range(3): print(n)\nprint('wrong', file=sys.stderr)", "0\n1\n2\nwrong\n"),
    ],
)
def test_output_by_every_means_is_in_order(page: Page, source: str, shown: str | None) -> None:
    """Programs, forks, threads, what runs at the end, bytes, C code; a closed stdout."""
    record, text = ended(page, source)
    assert record["status"] == "succeeded", text
    if shown is None:
        assert text == "achild\nb\n"
    else:
        assert text == shown


def test_code_may_close_its_output(page: Page) -> None:
    """The run goes on, and stderr is live."""
    record, text = ended(page, "import os\nprint('a', flush=True)\nos.close(1)\nos.write(2, b'still here\\n') and None")
    assert record["status"] == "succeeded"
    assert "a\n" in text
    assert "still here\n" in text


def test_a_line_comes_while_the_code_goes_on(page: Page) -> None:
    """After silence a line, and what has no end yet, are there at once."""
    run = typed(page, "import time\nprint('line')\ntime.sleep(0.3)\nprint('50 %', end='')\ntime.sleep(60)")
    page.wait_for_text(run, "line\n50 %")
    assert page.call("stop_request", {"run": run})["ok"]
    page.wait_for_end(run)


def test_runs_happen_side_by_side(page: Page) -> None:
    """Several runs at once; each has its own folder, and its own answers."""
    runs = [
        typed(page, f"open('own', 'w').write('{n}')\nx = input('?{n}')\nprint(open('own').read(), x)") for n in range(4)
    ]
    for number, run in reversed(list(enumerate(runs))):
        answer(page, run, f"answer {number}", f"?{number}")
    for number, run in enumerate(runs):
        assert page.wait_for_end(run)["status"] == "succeeded"
        assert f"{number} answer {number}" in page.text(run)


def test_nothing_of_ended_runs_is_left(page: Page, site: Server) -> None:
    """After all of these no process and no folder is left."""
    ended(page, "open('left', 'w').write('x')")
    assert not [line for line in site.processes.values() if "inside.enter" in line]
    wait_until(lambda: not list(Path(tempfile.gettempdir()).glob(f"typed-{_runner(site)}-*")))


def _runner(site: Server) -> int:
    return next(pid for pid, command in site.processes.items() if "app runner" in command)
