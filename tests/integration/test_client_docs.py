"""docs/cli.md: its lines work as they stand, and it tells all that the commands do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from app.client import exits
from app.client.commands_runs import STATUSES
from app.client.main import commands
from app.client.names import COMMANDS
from app.model import Status
from tests.client import Client

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
CODES = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}


def _commands() -> list[click.Command]:
    return [commands.get_command(click.Context(commands), name) for name in COMMANDS]  # type: ignore[misc]


def test_its_lines_work(client: Client) -> None:
    """The first lines are a script that ends well; so does the one with input."""
    lines = re.findall(r"^    ((?:RUN=\$\()?python -m app .*|printf .*)$", PAGE, re.MULTILINE)
    assert len(lines) >= 10
    script = "set -eu\n" + "\n".join(lines)
    done = subprocess.run(
        ["bash", "-c", script.replace("python -m app", f"{sys.executable} -P -m app")],
        env=client.environment,
        cwd=client.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    assert "Hello Ann" in done.stdout
    assert '"type":"end"' in done.stdout
    assert "5" in (client.folder / "counted.txt").read_text()


def test_it_names_every_command_and_option() -> None:
    """No command, no option is left out, and none is there that is not."""
    rows = set(re.findall(r"^\| `(\w+)", PAGE, re.MULTILINE))
    assert set(COMMANDS) <= rows
    options = {
        name
        for command in _commands()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for name in parameter.opts
    }
    table = PAGE[PAGE.index("| option | of |") : PAGE.index("## Parameters")]
    first = "".join(row.split("|")[1] for row in table.splitlines() if row.startswith("|"))
    assert set(re.findall(r"`(--?[a-z][a-z-]*)`", first)) == options - {"--help"}


def test_it_has_every_exit_code() -> None:
    """Each of the client's own has a row, and none else has."""
    table = PAGE[PAGE.index("| code | |") :]
    documented = {int(each) for each in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert documented == CODES - {exits.SIGNALS, exits.MOST, exits.SERVER_ERRORS}


def test_statuses_are_those_of_the_model() -> None:
    """The client knows no other status than the server, and what each final one exits with."""
    assert set(STATUSES) == {str(each) for each in Status}
    assert set(exits.BY_STATUS) == {str(each) for each in Status if each.final} - {"failed"}


@pytest.mark.parametrize("command", _commands(), ids=lambda command: command.name)
def test_each_help_has_examples_that_are_right(command: click.Command) -> None:
    """The examples of a help name options and commands that there are."""
    examples: tuple[str, ...] = command.examples  # type: ignore[attr-defined]
    assert examples
    for line in examples:
        named = re.search(rf"python -m app {command.name}\b(.*)", line)
        assert named, line
        known = {name for parameter in command.params for name in parameter.opts}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", named[1].split("|")[0])) <= known, line
