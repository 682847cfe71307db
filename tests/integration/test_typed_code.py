"""Code that is typed in the browser, from Start to end: by the page's socket, the queue, a runner, a sandbox."""

from __future__ import annotations

import pytest
import requests

from tests.integration.typed_fixture import ended, typed
from tests.serving import Page, Server


def test_output_and_the_last_value_are_shown(typed_page: Page) -> None:
    """What is printed comes, stderr too, and the last expression's value as a REPL shows it; other values do not."""
    record, text = ended(typed_page, "import sys\n1\nprint('é ☃')\nprint('err', file=sys.stderr)\n{'a': [1, 2]}\n")
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
def test_values_are_those_of_a_repl(typed_page: Page, source: str, shown: str | None) -> None:
    """Each kind of last line; statements show nothing."""
    record, text = ended(typed_page, source)
    if shown is None:
        assert record["status"] == "failed"
    else:
        assert record["status"] == "succeeded", text
        assert text == shown


def test_tracebacks_point_at_the_editors_lines(typed_page: Page) -> None:
    """The frames are the editor's, with its lines; nothing of ours is among them; the message names the exception."""
    record, text = ended(typed_page, "def f(n):\n    return 1 / n\n\nf(0)\n")
    assert record["status"] == "failed"
    assert record["exit_code"] == 1
    assert record["message"] == "ZeroDivisionError: division by zero"
    assert text.startswith('Traceback (most recent call last):\n  File "<editor>", line 4, in <module>\n    f(0)\n')
    assert 'File "<editor>", line 2, in f\n    return 1 / n\n' in text
    assert "inside" not in text
    assert "runpy" not in text


def test_chained_and_grouped_exceptions_are_shown_whole(typed_page: Page) -> None:
    """The cause of an exception and the members of a group have their lines, too."""
    _, text = ended(
        typed_page,
        "try:\n    {}['a']\nexcept KeyError as error:\n    raise ExceptionGroup('g', [ValueError('v')]) from error",
    )
    assert "File \"<editor>\", line 2, in <module>\n    {}['a']" in text
    assert "direct cause" in text
    assert "ValueError: v" in text


def test_a_syntax_error_shows_its_place(typed_page: Page) -> None:
    """The line, with a mark below what is wrong."""
    record, text = ended(typed_page, "print('never')\nif True\n    pass\n")
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
def test_exit_codes_are_pythons(typed_page: Page, source: str, code: int, message: str) -> None:
    """However the code ends, its exit code is shown."""
    record, _ = ended(typed_page, source)
    assert record["exit_code"] == code
    assert record["status"] == ("failed" if code else "succeeded")
    assert message in record["message"]


def test_a_crash_names_its_signal(typed_page: Page) -> None:
    """Code that crashes the interpreter ends by a signal, and the next run is well."""
    record, _ = ended(typed_page, "import ctypes; ctypes.string_at(0)")
    assert record["status"] == "failed"
    assert record["signal"] == "SIGSEGV"
    assert ended(typed_page, "6 * 7")[1] == "42\n"


def test_too_much_code_is_refused_clearly(typed_page: Page) -> None:
    """Code beyond the bound is refused with a sentence; code at the bound runs, and is in the history."""
    refused = typed_page.call("start_request", {"job": "code", "params": {"source": "#" * 100_001}})
    assert refused["error"]["code"] == "invalid_parameters"
    assert "source" in refused["error"]["fields"]
    for wrong in (5, None, "\ud800", ["x"]):
        refused = typed_page.call("start_request", {"job": "code", "params": {"source": wrong}})
        assert refused["error"]["code"] == "invalid_parameters"
    for source in ("#" * 99_990 + "\n1 + 1", "'" + "☃" * 99_990 + "'[0]"):
        record, _ = ended(typed_page, source)
        assert record["status"] == "succeeded"
        assert record["params"]["source"] == source


def test_a_flood_is_stored_whole(typed_page: Page, typed_site: Server, typist: requests.Session) -> None:
    """Many lines, from Python and from a program, arrive without a gap."""
    record, _ = ended(
        typed_page, "for n in range(100_000): print(n)\nimport subprocess; subprocess.run(['echo', 'end']) and None"
    )
    assert record["status"] == "succeeded"
    stored = typed_site.output(typist, record["id"]).decode().splitlines()
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
def test_output_by_every_means_is_in_order(typed_page: Page, source: str, shown: str | None) -> None:
    """Programs, forks, threads, what runs at the end, bytes, C code; a closed stdout."""
    record, text = ended(typed_page, source)
    assert record["status"] == "succeeded", text
    if shown is None:
        assert text == "achild\nb\n"
    else:
        assert text == shown


def test_code_may_close_its_output(typed_page: Page) -> None:
    """The run goes on, and stderr is live."""
    record, text = ended(
        typed_page, "import os\nprint('a', flush=True)\nos.close(1)\nos.write(2, b'still here\\n') and None"
    )
    assert record["status"] == "succeeded"
    assert "a\n" in text
    assert "still here\n" in text


def test_a_line_comes_while_the_code_goes_on(typed_page: Page) -> None:
    """After silence a line, and what has no end yet, are there at once."""
    run = typed(typed_page, "import time\nprint('line')\ntime.sleep(0.3)\nprint('50 %', end='')\ntime.sleep(60)")
    typed_page.wait_for_text(run, "line\n50 %")
    assert typed_page.call("stop_request", {"run": run})["ok"]
    typed_page.wait_for_end(run)
