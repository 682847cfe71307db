"""The command line's output: byte for byte, whoever reads it, and what comes to a run by signals and pipes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.api import Api
from tests.client import Client
from tests.waiting import wait_until


def test_fifty_megabytes_in_little_memory(client: Client, tmp_path: Path) -> None:
    """A flood comes out byte for byte, also into a pipe that is read slowly at first, and is never held."""
    file = tmp_path / "out"
    with file.open("wb") as out, client.begun("run", "-q", "flood", "megabytes=50", stdout=out) as begun:
        peak = 0
        while begun.process.poll() is None:
            peak = max(peak, _peak(begun.process.pid))
            time.sleep(0.02)
        assert begun.process.returncode == 0
    filling = "x" * 89
    assert file.read_bytes() == "".join(f"{number:09d} {filling}\n" for number in range(500_000)).encode()
    assert 0 < peak < 150_000, f"{peak} KiB"
    with client.begun("logs", "-q", "last", stderr=None) as begun:
        assert begun.process.stdout
        time.sleep(0.5)
        assert begun.process.stdout.read() == file.read_bytes()
        assert begun.process.wait(60) == 0


def _peak(process: int) -> int:
    """The most memory that a process has had so far, in KiB, and not what its parent had when it was forked."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else 0


def test_bytes_that_are_no_text(client: Client, api: Api) -> None:
    """Halves of characters, NUL, ESC and broken bytes come out as they went in, alike in pipes, files and JSON."""
    client("run", "-q", "hostile")
    run = client.json("runs", "last")[0]["id"]
    done = client("logs", "-q", run)
    assert b"\xff\x00\xfe broken \xe2\x82\n" in done.stdout
    assert b"\x1b]52;c;ZXZpbA==\x07" in done.stdout
    assert done.stdout == api.output(run)
    client("run", "-q", "pieces", "text=☃é🐍", "cut=1")
    assert client("logs", "last").stdout.startswith("☃é🐍".encode())


def test_from_any_place(client: Client, api: Api) -> None:
    """As the API has places; one of the outputs alone; what there is of a run that goes on."""
    client.good("run", "-q", "lines", "count=1000")
    assert client.good("logs", "--tail", "2", "last") == "998\n999\n"
    assert client.good("logs", "--line", "1000", "last") == "999\n"
    assert client.good("logs", "-f", "--after", "3882", "last") == "998\n999\n"[-8:]
    assert client.good("logs", "--time", "99999999999", "last") == ""
    client.wrong(2, "after", "logs", "--after", "99999", "last")
    client("run", "both", "pairs=2")
    for follow in ([], ["-f"]):
        done = client("logs", *follow, "-q", "--stream", "err", "last")
        assert (done.stdout, done.stderr) == (b"", b"err 0\nerr 1\n")
        done = client("logs", *follow, "-q", "--stream", "out", "last")
        assert (done.stdout, done.stderr) == (b"out 0\nout 1\n\xff\xfe raw\n", b"")
    run = client.good("run", "-d", "waits_elsewhere").strip()
    wait_until(lambda: api.get(f"/runs/{run}")["position"])
    assert client.good("logs", run) == "before\n"
    assert client.good("logs", "--stream", "out", run) == "before\n"
    api.stop(run)


def test_nobody_reads(client: Client, api: Api) -> None:
    """A reader that leaves ends the client quietly, also in silence; the run goes on, or is stopped if so asked."""
    for options, status in (([], "running"), (["--on-interrupt", "stop"], None)):
        with client.begun("run", "-q", *options, "heartbeat", "file=/dev/null") as begun:
            assert begun.process.stdout
            assert begun.process.stdout.readline() == b"beat 1\n"
            begun.process.stdout.close()
            assert begun.process.wait(30) == 141
            assert begun.process.stderr
            assert (begun.process.stderr.read() or b"") == b""
        run = client.json("runs", "last")[0]
        if status:
            assert run["status"] == status
            api.stop(run["id"])
        else:
            api.wait_end(run["id"])
    with client.begun("run", "-q", "waits_elsewhere") as begun:
        assert begun.process.stdout
        assert begun.process.stdout.readline() == b"before\n"
        begun.process.stdout.close()
        assert begun.process.wait(30) == 141
    api.stop(client.json("runs", "last")[0]["id"])
    reader, writer = os.pipe()
    os.close(reader)
    with client.begun("completion", "bash", stdout=writer) as begun:
        os.close(writer)
        code, _, said = begun.end()
        assert (code, said) == (141, b"")
    command = "python -m app jobs | head -1; python -m app runs --all --json | true"
    done = subprocess.run(
        ["bash", "-c", command.replace("python", f"{sys.executable} -P")],
        env=client.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


def test_signals_without_a_terminal(client: Client, api: Api) -> None:
    """SIGINT and SIGTERM detach at the exact place, or stop the run where that was asked for."""
    for number in (signal.SIGINT, signal.SIGTERM):
        with client.begun("run", "heartbeat", "file=/dev/null") as begun:
            begun.wait_said("Run ")
            assert begun.process.stdout
            assert begun.process.stdout.readline() == b"beat 1\n"
            begun.process.send_signal(number)
            code, out, said = begun.end()
        assert code == 130
        run, place = re.findall(rb"Run (\S+)", said)[0].decode(), int(re.findall(rb"--after (\d+)", said)[0])
        assert place == len(b"beat 1\n" + out)
        api.stop(run)
        assert api.output(run).startswith(b"beat 1\n" + out)
    with client.begun("run", "--on-interrupt", "stop", "waits_elsewhere") as begun:
        assert begun.process.stdout
        assert begun.process.stdout.readline() == b"before\n"
        begun.process.send_signal(signal.SIGINT)
        assert begun.end()[0] in (0, 143)


def test_closed_descriptors(client: Client) -> None:
    """Who gives the client no stdin, stdout or stderr still has the exit code, and the output that is wanted."""
    program = f"{sys.executable} -P -m app"
    for closed, expected in (("<&- 2>&-", b"0\n1\n"), (">&-", b""), ("<&- >&- 2>&-", b"")):
        for command in ("run lines count=2", "jobs"):
            done = subprocess.run(
                ["bash", "-c", f"{program} {command} {closed}"],
                env=client.environment,
                capture_output=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout == expected or command == "jobs"
            assert b"Traceback" not in done.stderr


def test_input_from_a_pipe(client: Client) -> None:
    """Each question gets a line; behind the last the input has ended; the code's answer is the output."""
    source = "print(input('first? '), input('second? '))\ntry:\n    input()\nexcept EOFError:\n    print('over')"
    done = client("run", "-q", "code", f"source={source}", stdin="Ann\r\nBob ☃".encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[-2:] == ["Ann Bob ☃", "over"]
    done = client("run", "code", f"source={source}", stdin=b"x" * 10_001 + b"\nAnn\nBob\n")
    assert b"input: " in done.stderr
    assert done.stdout.decode().splitlines()[-2:] == ["Ann Bob", "over"]
    done = client("run", "--no-input", "--on-interrupt", "stop", "silent", stdin=b"not read")
    assert done.returncode == 0


def test_a_turn_is_waited_for(client: Client, api: Api) -> None:
    """Who waits in a queue is told so."""
    first = api.start("alone")
    wait_until(lambda: api.get(f"/runs/{first}")["position"])
    with client.begun("run", "alone") as begun:
        begun.wait_said("Waiting for its turn: place 1")
        api.stop(first)
        assert begun.process.stdout
        assert begun.process.stdout.readline() == b"alone\n"
        begun.process.send_signal(signal.SIGINT)
        assert begun.end()[0] == 130
    api.stop(client.json("runs", "last")[0]["id"])
