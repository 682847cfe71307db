"""The short command and its completion, in the shells that are here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.api import Api
from tests.client import COMMAND, Client, Terminal
from tests.serving import ROOT, free_port
from tests.waiting import wait_until

SHELLS = ("bash", "zsh", "fish")


def _completions(client: Client, *words: str) -> list[str]:
    """What bash would offer behind these words."""
    script = client.good("completion", "bash")
    line = " ".join(words)
    ask = f"COMP_WORDS=({line}{'' if words[-1] else chr(39) * 2}); COMP_CWORD={len(words) - 1}; _frt_completion frt"
    done = subprocess.run(
        ["bash", "-c", f'{script}\n{ask}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'],
        env=client.environment,
        cwd=client.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes(client: Client, api: Api) -> None:
    """Commands, options, jobs, parameters and their choices, runs: those of the server."""
    run = api.start("silent")
    api.wait_end(run)
    assert {"run", "runs"} <= set(_completions(client, "frt", "ru"))
    assert "--detach" in _completions(client, "frt", "run", "--de")
    # What has to be asked for is not waited for: a server that is held up for a second offers nothing.
    wait_until(lambda: _completions(client, "frt", "run", "coun") == ["count"])
    wait_until(lambda: "count" in _completions(client, "frt", "jobs", ""))
    wait_until(lambda: _completions(client, "frt", "run", "inputs", "li") == ["limit="])
    wait_until(lambda: {run, "last"} <= set(_completions(client, "frt", "logs", "")))
    assert _completions(client, "frt", "stop", "la") == ["last"]
    assert "timed" not in _completions(client, "frt", "completion", "")


@pytest.mark.parametrize("url", ["away", "silent"])
def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path: Path, url: str) -> None:
    """Nothing is offered, nothing is said, in little time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1] if url == "silent" else free_port()
        client = Client(tmp_path, f"http://127.0.0.1:{port}", "frt_token")
        began = time.monotonic()
        assert _completions(client, "frt", "run", "c") == []
        assert time.monotonic() - began < 20
    assert _completions(Client(tmp_path), "frt", "run", "c") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_short_command_works_from_any_folder(client: Client, shell: str) -> None:
    """The script is one of that shell, and its command is this program; a hostile folder has no say in it."""
    (client.folder / "app.py").write_text("raise SystemExit(99)")
    script = client.good("completion", shell, "--name", "jobs-of")
    assert "_FLASK_REALTIME_COMPLETE" not in script
    assert "completion " + shell in script
    assert "commands[" not in script
    if shutil.which(shell) is None:
        return
    head = "autoload -U compinit && compinit -u\n" if shell == "zsh" else ""
    done = subprocess.run(
        [shell, "-c", f"{head}{script}\njobs-of jobs count"],
        env=client.environment,
        cwd=client.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("count: ")


@pytest.mark.parametrize("name", ["", "a b", "$(x)", "-x", "a;b"])
def test_a_name_that_is_none(client: Client, name: str) -> None:
    """It would be code of the shell's."""
    client.wrong(2, "no name for a command", "completion", "bash", f"--name={name}")


def test_the_client_starts_without_the_server() -> None:
    """A command that asks a server imports nothing of it, and the server's own start nothing of the client."""
    script = "import sys; sys.argv[1:] = ['jobs', '--help']; from app.__main__ import run; run()"
    assert not {"flask", "pydantic", "redis", "eventlet", "app.config", "rich"} & _loaded(script)
    ours = {name for name in _loaded("import app.__main__, app.cli") if name.startswith("app.client")}
    assert ours == {"app.client", "app.client.names"}


def _loaded(script: str) -> set[str]:
    """The modules that are there after it."""
    command = [*COMMAND[:2], "-c", f"{script}; import sys; print(*sys.modules)"]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=here)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes(client: Client) -> None:
    """Commands, and jobs of the server, each with what it is."""
    script = client.good("completion", "fish")

    def completes(line: str, expected: str) -> bool:
        done = subprocess.run(
            ["fish", "-c", f"{script}\ncomplete -C '{line}'"],
            env=client.environment,
            cwd=client.folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return expected in [found.split("\t")[0] for found in done.stdout.splitlines()]

    for line, expected in (("frt ru", "runs"), ("frt run coun", "count"), ("frt run inputs li", "limit=")):
        wait_until(lambda line=line, expected=expected: completes(line, expected), line)  # type: ignore[misc]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_completes(client: Client) -> None:
    """Tab at a job's name completes it."""
    script = client.folder / "script"
    script.write_text(client.good("completion", "zsh"))
    with Terminal(["zsh", "-f", "-i"], client.environment, client.folder) as terminal:
        terminal.type(f"autoload -U compinit; compinit -u; source {script}; echo rea''dy\n")
        terminal.wait_text("ready")
        terminal.type("frt jobs coun")

        def completes() -> bool:
            # A server that does not answer in a second is not waited for: Tab again.
            terminal.type("\t")
            try:
                terminal.wait_text("count", seconds=3)
            except AssertionError:
                return False
            return True

        wait_until(completes)
        terminal.type("\n")
        terminal.wait_text("Counts, with a progress bar")
