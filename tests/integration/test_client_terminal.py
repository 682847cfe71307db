"""The command line in a terminal: Ctrl-C, what a run asks for, progress, colours, passwords."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.api import Api
from tests.client import Client
from tests.waiting import wait_until

QUESTION = "[s]top the run, [d]etach and leave it going, or [c]ontinue?"


def _last(client: Client) -> str:
    run: str = client.json("runs", "last")[0]["id"]
    return run


def test_ctrl_c_offers_stop(client: Client) -> None:
    """Ctrl-C asks; the output waits meanwhile; Stop ends the run, whose last output still comes."""
    with client.terminal("run", "heartbeat", "file=/dev/null") as terminal:
        terminal.wait_text("beat 2\r\n")
        terminal.type("\x03")
        terminal.wait_text(QUESTION)
        before = terminal.text
        terminal.type("s\r")
        terminal.wait_text("The run is asked to stop.")
        assert "beat" not in terminal.text[len(before) : terminal.text.index("The run is asked")]
        # It looks at Stop, and ends well.
        assert terminal.end() in (0, 143)
    beats = [int(each) for each in re.findall(r"beat (\d+)\r\n", terminal.text)]
    assert beats == [*range(1, len(beats) + 1)]
    assert client("logs", "last").stdout.decode().splitlines() == [f"beat {each}" for each in beats]


def test_ctrl_c_offers_to_detach(client: Client, api: Api) -> None:
    """Detach leaves the run going, and says from which byte on the rest is."""
    with client.terminal("run", "heartbeat", "file=/dev/null") as terminal:
        terminal.wait_text("beat 2\r\n")
        terminal.type("\x03")
        terminal.wait_text(QUESTION)
        terminal.type("c\r")
        terminal.wait_text("beat ")
        terminal.type("\x03")
        terminal.wait_text(QUESTION)
        terminal.type("d\r")
        assert terminal.end() == 130
    place, run = re.findall(r"--after (\d+) (\S+)\r", terminal.text)[0]
    assert api.get(f"/runs/{run}")["status"] == "running"
    shown = "".join(re.findall(r"(beat \d+)\r", terminal.text))
    api.stop(run)
    assert api.output(run)[: int(place)].replace(b"\n", b"").decode() == shown


def test_a_second_ctrl_c_detaches_at_once(client: Client, api: Api) -> None:
    """Also where the first is still being asked about; and the end of the input is no answer either."""
    for keys in ("\x03", "\x04"):
        with client.terminal("run", "waits_elsewhere") as terminal:
            terminal.wait_text("before\r\n")
            terminal.type("\x03")
            terminal.wait_text(QUESTION)
            terminal.type(keys)
            assert terminal.end() == 130
            assert "Traceback" not in terminal.text
        api.stop(_last(client))


def test_after_a_stop_ctrl_c_offers_to_kill(client: Client) -> None:
    """A run that takes its time may be killed."""
    with client.terminal("run", "obstinate") as terminal:
        terminal.wait_text("begun")
        terminal.type("\x03")
        terminal.wait_text(QUESTION)
        terminal.type("s\r")
        terminal.wait_text("asked to stop")
        terminal.type("\x03")
        terminal.wait_text("[k]ill it now")
        terminal.type("k\r")
        assert terminal.end() == 137


def test_a_terminal_that_stands_still(client: Client, api: Api) -> None:
    """A pager that takes nothing does not keep Ctrl-C from working: the second one detaches."""
    with client.terminal("run", "flood", "megabytes=20", stdout=subprocess.PIPE) as terminal:
        terminal.wait_text("Run ")
        wait_until(lambda: api.get(f"/runs/{_last(client)}")["position"] > 5_000_000)
        terminal.type("\x03")
        terminal.wait_text(QUESTION)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert "Detached" in terminal.text
        assert terminal.process.stdout
        size = len(terminal.process.stdout.read())
    assert f"--after {size} " in terminal.text
    api.stop(_last(client))


def test_input_is_typed(client: Client) -> None:
    """A question is answered by a line, which is shown once; Ctrl-D ends the input of one question."""
    source = (
        "name = input('Who? ')\nprint('Hello', name)\n"
        "try:\n    input('More? ')\nexcept EOFError:\n    print('no more')\nprint('then', input('Again? '))\n"
    )
    with client.terminal("run", "code", f"source={source}") as terminal:
        terminal.wait_text("Who? ")
        terminal.type("Ann ☃\r")
        terminal.wait_text("Hello Ann ☃\r\n")
        terminal.wait_text("More? ")
        terminal.type("\x04")
        terminal.wait_text("no more\r\n")
        terminal.wait_text("Again? ")
        terminal.type("x\r")
        terminal.wait_text("then x\r\n")
        assert terminal.end() == 0
    # What was typed is taken off, and the run's echo is there.
    assert "\x1b[1A\r\x1b[JWho? Ann ☃\r\n" in terminal.text


def test_a_secret_leaves_the_screen(client: Client) -> None:
    """What getpass reads is echoed by nobody; what the terminal has shown of it is erased."""
    source = "import getpass\nword = getpass.getpass('Word: ')\nprint('it has', len(word))"
    with client.terminal("run", "code", f"source={source}") as terminal:
        terminal.wait_text("Word: ")
        terminal.type("hush\r")
        terminal.wait_text("it has 4")
        assert terminal.end() == 0
    assert "\x1b[1A\r\x1b[JWord: \r\n" in terminal.text


def test_progress_is_drawn_and_erased(client: Client, tmp_path: Path) -> None:
    """A line at the bottom, which the next output takes the place of; none where nobody sees it."""
    go = tmp_path / "go"
    with client.terminal("run", "progresses", f"file={go}") as terminal:
        terminal.wait_text("45% (9 of 20)")
        go.touch()
        assert terminal.end() == 0
    assert terminal.text.count("(9 of 20)") == terminal.text.count("(9 of 20)\x1b[0m\r\x1b[K")
    with client.terminal("run", "-q", "progresses", f"file={go}") as terminal:
        assert terminal.end() == 0
    assert "%" not in terminal.text


def test_output_passes_as_it_is(client: Client, api: Api) -> None:
    """The run's own colours and sequences reach the user's terminal as `cat` would have them."""
    with client.terminal("run", "-q", "attack") as terminal:
        assert terminal.end() == 0
    assert terminal.text.encode() == api.output(_last(client)).replace(b"\n", b"\r\n")


def test_tables_have_colours_on_a_terminal_alone(client: Client) -> None:
    """Heads and colours for eyes, unless NO_COLOR is set; ids are whole."""
    client.good("run", "-q", "silent")
    with client.terminal("runs", "-n", "1") as terminal:
        assert terminal.end() == 0
    assert "STATUS" in terminal.text
    assert "\x1b[32msucceeded" in terminal.text
    assert _last(client) in terminal.text
    plain = Client(client.folder, NO_COLOR="1", **_login(client))
    with plain.terminal("runs", "-n", "1") as terminal:
        assert terminal.end() == 0
    assert "\x1b[32m" not in terminal.text
    assert "\x1b" not in client.good("runs")


def _login(client: Client) -> dict[str, str]:
    return {"url": client.environment["FLASK_REALTIME_URL"], "token": client.environment["FLASK_REALTIME_TOKEN"]}


def test_log_in_by_questions(client: Client, api: Api) -> None:
    """The address and the token are asked for; the token is not shown."""
    other = Client(client.folder)
    with other.terminal("login") as terminal:
        terminal.wait_text("Server [http://localhost:5000]:")
        terminal.type(f"{api.home}\r")
        terminal.wait_text("Token:")
        terminal.type(f"{api.token}\r")
        assert terminal.end() == 0
    assert api.token not in terminal.text
    assert f"{api.home}: you are" in terminal.text
    with other.terminal("login") as terminal:
        terminal.wait_text(f"Server [{api.home}]:")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert "Traceback" not in terminal.text


def test_logs_end_by_ctrl_c(client: Client, api: Api) -> None:
    """As tail does: nothing is asked."""
    run = api.start("waits_elsewhere")
    with client.terminal("logs", "-f", run) as terminal:
        terminal.wait_text("before\r\n")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert QUESTION not in terminal.text
    api.stop(run)
