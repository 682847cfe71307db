"""The contract that all executors keep: start, output by every means, Stop, exit codes, parameters, tokens, secrets."""

from __future__ import annotations

import re
import time
from itertools import islice
from pathlib import Path

import pytest
import requests

from tests.api import Api
from tests.integration.simulator_fixture import Simulator
from tests.serving import Page, Server
from tests.waiting import wait_until

EXECUTORS = ("thread", "process", "celery")
PROCESSES = ("process", "celery")


def gone(process: int) -> bool:
    """Whether a process lives no more."""
    return not Path(f"/proc/{process}").exists()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_parameters_arrive_as_the_function_names_them(open_page: Page, executor: str) -> None:
    """Numbers, dates, choices, lists and empty values are the function's own types again."""
    words = ["a", "é", 'q"uote']
    run = open_page.start(f"typed_{executor}", count="3", day="2025-12-31", colour="red", words=words, note="")
    assert open_page.wait_for_end(run)["status"] == "succeeded"
    said = open_page.text(run)
    assert said == f"(3, datetime.date(2025, 12, 31), <Colour.RED: 'red'>, {words!r}, '')\n".replace("''", "None")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_injected_names_are_there(open_page: Page, executor: str, simulator: Simulator) -> None:
    """The user, the run, running() and a token that the output does not show; progress reaches the page."""
    run = open_page.start(f"injected_{executor}")
    end = open_page.wait_for_end(run)
    assert open_page.text(run).startswith("First User user1@example.com " + run + " True True " + simulator.url)
    assert open_page.text(run).endswith("token *****\n")
    assert (end["status"], end["exit_code"], end["progress"]) == ("succeeded", 0, [10, 10])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_jobs_set_channels(
    open_page: Page, contract: Server, contract_visitor: requests.Session, executor: str
) -> None:
    """Every value reaches whoever streams the channel, in order; secrets are masked, wrong ones refused."""
    api = Api(contract.url, person=contract_visitor)
    run = open_page.start(f"sets_channels_{executor}", count=200)
    end = open_page.wait_for_end(run)
    assert end["status"] == "succeeded", open_page.text(run)
    assert open_page.text(run) == "channel:\n" * 6 + "set True\n"
    assert api.get(f"/channels/job:{run}")["value"] == "done"
    assert api.get("/channels/job:other")["value"] == {"text": "*****", "n": [1, None]}
    changes = list(islice(api.stream(f"/stream.ndjson?channel=job:{run}&after=0").records(), 201))
    assert [each["value"] for each in changes] == [*range(200), "done"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_output_by_every_means_of_python(open_page: Page, executor: str) -> None:
    """print, stderr, bytes, logging, threads and asyncio tasks, in order; an unfinished line at the end, too."""
    run = open_page.start(f"means_{executor}")
    open_page.wait_for_end(run)
    said = open_page.text(run)
    assert sorted(said.splitlines()) == sorted(
        ["print", "stderr", "write", "bytes é", "logging", "thread", "task", "prompt> "]
    )
    out = [line for line in said.splitlines() if line not in ("stderr", "logging")]
    assert out == ["print", "write", "bytes é", "thread", "task", "prompt> "]


@pytest.mark.parametrize("executor", PROCESSES)
def test_output_of_programs_and_c_code(open_page: Page, executor: str) -> None:
    """A process's programs, its C code, what it writes to descriptors, and what it forks: all of it, in order."""
    run = open_page.start(f"outside_{executor}")
    assert open_page.wait_for_end(run)["status"] == "succeeded"
    said = open_page.text(run).splitlines()
    assert said.count("program, stderr") == 1
    said.remove("program, stderr")
    assert said == ["python", "program", "C code", "descriptor", "fork", "python again"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_flood_by_threads_is_whole_and_in_order(open_page: Page, executor: str) -> None:
    """Three threads print a hundred thousand lines each: every line is whole, and each thread's are in order."""
    run = open_page.start(f"lines_{executor}", count=100_000, threads=3)
    assert open_page.wait_for_end(run)["status"] == "succeeded"
    said = open_page.text(run).splitlines()
    assert len(said) == 300_000
    for name in range(3):
        assert [line for line in said if line[0] == str(name)] == [f"{name}:{number:07d}" for number in range(100_000)]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bytes_are_kept_as_they_are(
    open_page: Page, contract: Server, contract_visitor: requests.Session, executor: str
) -> None:
    """Invalid UTF-8, NUL, escapes and a line of ten megabytes come out of the download byte for byte."""
    run = open_page.start(f"bytes__{executor}", size=10_000_000)
    open_page.wait_for_end(run)
    expected = bytes(range(256)) + b"\xe2\x82 \xf0\x9f\x98\x80 \x00\x1b[31m\r\n" + b"x" * 10_000_000 + b"\n"
    assert contract.output(contract_visitor, run) == expected + "🎉 é \\ud800\n".encode()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("return", ("succeeded", 0, "")),
        ("exception", ("failed", 1, "ValueError: it broke <b>here</b>")),
        ("half", ("failed", 1, "ValueError: half of a character: ?")),
        ("exit 3", ("failed", 3, "exit code 3")),
        ("exit text", ("failed", 1, "exit code 1")),
        ("memory", ("failed", 1, "MemoryError")),
        ("close", ("succeeded", 0, "")),
    ],
)
def test_every_end_has_its_code(open_page: Page, executor: str, how: str, expected: tuple[str, int, str]) -> None:
    """However a function ends: one status, its exit code, a message, and its last words."""
    run = open_page.start(f"ends_{executor}", how=how)
    end = open_page.wait_for_end(run)
    assert (end["status"], end["exit_code"], end["message"]) == expected
    last = {"exception": expected[2], "exit text": "a last word", "close": "to stderr"}.get(how, "")
    said = open_page.text(run)
    assert said.startswith("before\n")
    assert last in said
    # Our own frames tell the author nothing.
    assert "/app/" not in said


@pytest.mark.parametrize("executor", PROCESSES)
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("_exit 4", (4, "", "exit code 4")),
        ("segfault", (None, "SIGSEGV", "ended by SIGSEGV: Segmentation fault")),
        ("abort", (None, "SIGABRT", "ended by SIGABRT: Aborted")),
        ("kill", (None, "SIGKILL", "ended by SIGKILL: Killed")),
        ("close 1", (5, "", "exit code 5")),
    ],
)
def test_a_crash_is_the_runs_own(
    open_page: Page, executor: str, how: str, expected: tuple[int | None, str, str]
) -> None:
    """What takes a process along takes nothing else: the run has failed, and says by which signal or code."""
    run = open_page.start(f"ends_{executor}", how=how)
    end = open_page.wait_for_end(run)
    assert end["status"] == "failed"
    assert (end["exit_code"], end["signal"], end["message"]) == expected
    said = "before\nto stderr\n" if how == "close 1" else "before\n"
    assert open_page.text(run) == said


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", ["polite", "cancelled"])
def test_stop_asks_first(open_page: Page, executor: str, name: str) -> None:
    """Who asks running(), or waits in asyncio, puts its things away and has stopped."""
    run = open_page.start(f"{name}_{executor}")
    open_page.wait_for_text(run, "ing\n")
    assert open_page.call("stop_request", {"run": run})["ok"]
    end = open_page.wait_for_end(run)
    assert (end["status"], end["signal"]) == ("stopped", "")
    assert open_page.text(run).endswith("put away\n")


@pytest.mark.parametrize("executor", PROCESSES)
@pytest.mark.parametrize(
    ("ignore", "expected"),
    [
        ("", ("stopped", "", 130)),
        ("interrupt", ("stopped", "SIGTERM", None)),
        ("terminate", ("killed", "SIGKILL", None)),
    ],
)
def test_stop_ends_what_ignores_it(
    open_page: Page, executor: str, ignore: str, expected: tuple[str, str, int | None]
) -> None:
    """SIGINT, then SIGTERM, then SIGKILL; each stage is told with the time of the next, and then nothing lives."""
    run = open_page.start(f"asleep_{executor}", ignore=ignore)
    process = int(open_page.wait_for_text(run, "\n").split()[1])
    open_page.call("stop_request", {"run": run})
    end = open_page.wait_for_end(run)
    assert (end["status"], end["signal"], end["exit_code"]) == expected
    assert end["stage"] is None
    assert open_page.text(run) == f"asleep {process}\n" + ("not interrupted\n" if ignore else "")
    assert gone(process)


@pytest.mark.parametrize("executor", PROCESSES)
def test_a_job_that_lies_about_its_end_goes_on_and_is_stopped(open_page: Page, executor: str) -> None:
    """That it has ended is what the kernel says, however often its process says so."""
    run = open_page.start(f"liar_{executor}")
    open_page.wait_for_text(run, "lied")
    time.sleep(0.5)
    assert open_page.statuses[run]["status"] == "running"
    open_page.call("stop_request", {"run": run})
    end = open_page.wait_for_end(run)
    assert (end["status"], end["signal"], end["exit_code"]) == ("stopped", "", 130)


@pytest.mark.parametrize("executor", PROCESSES)
def test_kill_now_waits_for_nothing(open_page: Page, executor: str) -> None:
    """Kill now: killed at once, whatever the stage."""
    run = open_page.start(f"asleep_{executor}", ignore="terminate")
    open_page.wait_for_text(run, "asleep")
    open_page.call("stop_request", {"run": run})
    open_page.wait_for_text(run, "not interrupted")
    assert open_page.call("kill_request", {"run": run})["ok"]
    end = open_page.wait_for_end(run)
    assert (end["status"], end["signal"]) == ("killed", "SIGKILL")


@pytest.mark.parametrize("executor", PROCESSES)
@pytest.mark.parametrize("orphan", [False, True])
def test_nothing_of_a_run_survives_it(open_page: Page, executor: str, *, orphan: bool) -> None:
    """Children in sessions of their own, which hold the pipes and ignore signals, end with the run and hold it not."""
    run = open_page.start(f"family_{executor}", orphan=orphan)
    open_page.wait_for_text(run, "family")
    if not orphan:
        open_page.call("stop_request", {"run": run})
    end = open_page.wait_for_end(run, 20)
    assert end["status"] == ("succeeded" if orphan else "stopped")
    family = [int(number) for number in re.findall(r"(?:detached|forked|family) (\d+)", open_page.text(run))]
    assert len(family) == 3, open_page.text(run)
    assert all(gone(process) for process in family)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_secrets_are_masked(open_page: Page, executor: str) -> None:
    """Declared secrets and tokens are in no output and no message, also when they come in pieces."""
    run = open_page.start(f"secretive_{executor}")
    end = open_page.wait_for_end(run)
    assert "declared: *****\nsplit: *****\n" in open_page.text(run)
    assert end["message"] == "RuntimeError: it was *****"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_token_is_refreshed_in_mid_run(contract: Server, executor: str, simulator: Simulator) -> None:
    """The token ends while the run goes on: the next call has a new one."""
    simulator.turn(token_lifetime=10)
    page = contract.page(contract.log_in(1))
    run = page.start(f"tokens_{executor}")
    page.wait_for_text(run, "first ok\n")
    before = simulator.count("grant:refresh_token")
    simulator.expire("access")
    wait_until(lambda: simulator.count("grant:refresh_token") == before, "no other refresh is under way")
    simulator.turn(token_lifetime=1000)
    page.call("stop_request", {"run": run})
    assert page.wait_for_end(run)["status"] == "stopped"
    assert page.text(run) == "first ok\nagain ok\n"
    page.close()


@pytest.mark.parametrize("executor", PROCESSES)
@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("too_long", {}, ("timed out", "It ran for longer than 1.5 s, which is its limit.")),
        ("too_busy", {}, ("timed out", "It computed for longer than 1 s, which is its limit.")),
        ("too_large", {"how": "slowly"}, ("failed", "Out of memory: it took more than 150 MB, which is its limit.")),
        ("too_large", {"how": "children"}, ("failed", "Out of memory: it took more than 150 MB, which is its limit.")),
        ("too_large", {"how": "at once"}, ("failed", "MemoryError")),
        ("too_many", {}, ("failed", r"It had \d+ processes and threads at one time; its limit is 20.")),
        ("too_open", {}, ("failed", r"OSError: \[Errno 24\] Too many open files: '/dev/null'")),
        ("too_loud", {}, ("failed", "It printed more than 1 MB, which is its limit.")),
    ],
)
def test_limits_end_a_run(
    open_page: Page, executor: str, name: str, params: dict[str, str], expected: tuple[str, str]
) -> None:
    """Time, computing, memory, processes, files and output of a run are bounded; the message says which it was."""
    run = open_page.start(f"{name}_{executor}", **params)
    end = open_page.wait_for_end(run)
    assert end["status"] == expected[0]
    assert re.fullmatch(expected[1], end["message"]), end


@pytest.mark.parametrize("executor", PROCESSES)
def test_a_job_sees_nothing_of_the_servers_surroundings(open_page: Page, executor: str) -> None:
    """No setting is in its environment, nothing comes from stdin, and no descriptor of the server's is open."""
    run = open_page.start(f"surroundings_{executor}")
    assert open_page.wait_for_end(run)["status"] == "succeeded"
    said = open_page.text(run)
    for name in ("REDIS_URL", "CLIENT_SECRET", "CLIENT_ID", "SECRET_KEY", "TOKEN_KEYS", "KEY_DIR", "JOBS"):
        assert f"'{name}'" not in said
    assert "stdin ''\n" in said
    assert "environ False\n" in said
    # Its own three, the control socket, its own way into its pipes, and what lists them.
    assert len(re.findall(r"'\d+'", said.partition("open")[2])) <= 7
