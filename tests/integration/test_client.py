"""The command line against a running server: logins, jobs, runs, and what goes wrong."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
import requests

from app.model import new_id
from tests.api import Api, make_token
from tests.client import Client
from tests.serving import Server
from tests.waiting import wait_until


def test_log_in_and_out(server: Server, person: requests.Session, tmp_path: Path) -> None:
    """A token is tried, then kept where its owner alone reads it; commands then need no more; logout forgets it."""
    client = Client(tmp_path)
    client.wrong(77, "python -m app login", "jobs")
    token = make_token(server.url, person)
    said = client.good("login", "--url", f"{server.url}/api/v1.0/", stdin=f"{token}\n".encode())
    assert "read" in said
    assert server.url in said
    assert token not in said
    assert stat.S_IMODE(client.logins.stat().st_mode) == 0o600
    assert stat.S_IMODE(client.logins.parent.stat().st_mode) == 0o700
    assert "count\t" in client.good("jobs")
    client.logins.chmod(0o644)
    assert b"Others could read" in client("jobs").stderr
    assert stat.S_IMODE(client.logins.stat().st_mode) == 0o600
    assert "forgotten" in client.good("logout")
    assert token not in client.logins.read_text()
    client.wrong(77, "python -m app login", "jobs")
    assert "no token to forget" in client.good("logout")


def test_a_token_goes_to_its_own_server_alone(client: Client, api: Api, tmp_path: Path) -> None:
    """Another address gets no token that was kept for this one, not even by a redirect."""
    kept = Client(client.folder)
    kept.good("login", "--url", api.home, stdin=api.token.encode())
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(10)
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        kept.wrong(77, "There is no token for", "jobs", "--url", url)
        with kept.begun("jobs", "--url", url, "--token", "frt_other") as begun:
            taken, _ = other.accept()
            asked = taken.recv(65_536)
            taken.sendall(
                f"HTTP/1.1 302 Found\r\nLocation: {api.home}/api/v1.0/jobs\r\nContent-Length: 0\r\n\r\n".encode()
            )
            code, _, said = begun.end()
            taken.close()
    assert b"frt_other" in asked
    assert api.token.encode() not in asked
    assert code == 65
    assert b"leads elsewhere" in said


@pytest.mark.parametrize("token", ["", "frt_wrong", "two words", "\x1b[31m", "ü" * 43])
def test_a_wrong_token_is_not_kept(server: Server, tmp_path: Path, token: str) -> None:
    """It is said where one is made."""
    client = Client(tmp_path)
    client.wrong(77, "token", "login", "--url", server.url, stdin=token.encode())
    assert not client.logins.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"current": 1, "tokens": {}}', '{"current": "", "tokens": {"a": 1}}'])
def test_a_damaged_file_of_logins(client: Client, text: str) -> None:
    """It is named, and nothing is guessed."""
    client.logins.parent.mkdir(parents=True)
    client.logins.write_text(text)
    client.wrong(77, str(client.logins), "jobs")


def test_a_netrc_has_no_say(client: Client, api: Api) -> None:
    """What a netrc file has for this host is not sent in place of the token."""
    (client.folder / ".netrc").write_text("default login me password mine\n")
    (client.folder / ".netrc").chmod(0o600)
    assert client.json("jobs")


def test_jobs(client: Client) -> None:
    """All of them, or one with what it takes; as values between tabs, or as JSON."""
    rows = [line.split("\t") for line in client.good("jobs").splitlines()]
    assert ["count", "thread"] in [[row[0], row[2]] for row in rows]
    assert {each["name"] for each in client.json("jobs")} == {row[0] for row in rows}
    shown = client.good("jobs", "inputs")
    for words in ("limit\tinteger, from 1, to 10\t5\tFrom 1 to 10.", "mode\tfast|slow|3\tslow", "text\tstring\tneeded"):
        assert words in shown
    assert "maybe\tinteger or nothing\tnull" in shown
    assert "numbers\tlist of integer\t[1,2]" in shown
    assert client.json("jobs", "inputs")[0]["parameters"]["required"] == ["text"]
    for name in ("nothing", "../me", "a/b", "é", "x" * 3000, "\x1b[31m"):
        client.wrong(66, "no such" if len(name) < 100 else "", "jobs", name)
    assert "python -m app jobs" in client.wrong(66, "no such job as 'nothing'", "run", "nothing")


def test_parameters_arrive_as_they_are_meant(client: Client, tmp_path: Path) -> None:
    """Each kind, from words, files and JSON; what is empty where it may be is nothing."""
    (tmp_path / "text").write_text("a\nb ☃\n")
    words = [
        *(
            f"text=@{tmp_path / 'text'}",
            "limit=7",
            "share=2.5e-1",
            "really=no",
            "mode=3",
            "colour=red",
            "day=2024-02-29",
        ),
        *(
            "maybe=",
            "sure=yes",
            "price=9.99",
            "numbers=3",
            "numbers=4",
            'names:=["a=b", "c d"]',
            "note=@@home",
        ),
    ]
    shown = client.good("run", "-q", "inputs", *words)
    for expected in (
        *("text='a\\nb ☃\\n';", "limit=7;", "share=0.25;", "really=False;", "mode=3;", "colour=<Colour.RED: 'red'>;"),
        *("day=datetime.date(2024, 2, 29);", "maybe=None;", "sure=True;", "price=Decimal('9.99');", "numbers=[3, 4];"),
        *("names=['a=b', 'c d'];", "note='@home';"),
    ):
        assert expected in shown, (expected, shown)
    assert "text='from a pipe';" in client.good("run", "-q", "inputs", "text=@-", stdin=b"from a pipe")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "inputs needs text=..."),
        (["text"], "NAME=VALUE"),
        (["text=a", "text=b"], "2 times"),
        (["txt=a"], "Did you mean text?"),
        (["text=a", "limit=x"], "limit: expected a whole number"),
        (["text=a", "limit=99"], "limit: "),
        (["text=a", "limit=" + "9" * 5000], "limit: "),
        (["text=a", "share=nan"], "share: "),
        (["text=a", "really=maybe"], "really: expected true or false"),
        (["text=a", "colour=blue"], "colour: expected one of red, green"),
        (["text=a", "day=never"], "day: "),
        (["text=a", "names:=[1"], "names: what stands behind := is no JSON"),
        (["text=@/nowhere"], "cannot be read: No such file"),
        (["text=@/proc/self"], "cannot be read"),
        (["text=\udcff"], "UTF-8"),
        (["text=" + "x" * 110_000], "At most 100,000"),
        (["\x1b[31m=1"], "has no parameter"),
    ],
)
def test_wrong_parameters(client: Client, words: list[str], said: str) -> None:
    """Each is named, with what is expected, and nothing is started."""
    arguments = [word.encode("utf-8", "surrogateescape") for word in words]
    client.wrong(2, said, "run", "inputs", *arguments)


def test_other_use_that_is_wrong(client: Client) -> None:
    """Unknown commands, options, jobs and runs; two places at once; a beginning that fits two runs or none."""
    client.wrong(2, "invalid choice", "jbos")
    client.wrong(2, "No such option", "jobs", "--colour")
    client.wrong(66, "job", "run", "nothing")
    client.wrong(66, "run", "logs", new_id())
    client.wrong(66, "run", "stop", "A" * 22)
    client.wrong(2, "is no run", "logs", "../me")
    client.wrong(2, "is no run", "logs", "abc")
    client.wrong(66, "begins with", "logs", "AAAAAAAAAAAAAAAAAAAAA")
    client.wrong(2, "one of them", "logs", "--tail", "1", "--after", "2", new_id())
    client.wrong(2, "patience", "jobs", "--patience", "-1")


def test_runs_and_stop(client: Client, api: Api, tmp_path: Path) -> None:
    """Runs by their job and status, one by its beginning, the last; Stop, and waiting for the end."""
    first = client.good("run", "--detach", "lines", "count=3").strip()
    api.wait_end(first)
    go = tmp_path / "go"
    second = client.good("run", "-d", "waits_for", f"file={go}").strip()
    found = client.json("runs", "--limit", "2")
    assert [each["id"] for each in found] == [second, first]
    assert client.good("runs", "--job", "lines", "-n", "1").split("\t")[:3] == [first, "lines", "succeeded"]
    assert second in client.good("runs", "--status", "running", "--status", "queued")
    assert first not in client.good("runs", "--status", "running")
    assert f"id\t{second}" in client.good("runs", "last")
    if not second.startswith("-"):
        assert f"params\tfile='{go}'" in client.good("runs", second[:12])
    assert client.json("runs", first)[0]["status"] == "succeeded"
    assert client.good("stop", "--wait", second) in (f"{second} stopped\n", f"{second} succeeded\n")
    assert client.good("stop", first) == f"{first} succeeded\n"
    assert client.good("logs", second).startswith("before\n")


def test_a_run_whose_id_begins_with_a_dash(client: Client) -> None:
    """Such an id is an id, and no option."""
    client.wrong(66, "no such run", "logs", "-" + "A" * 21)
    client.wrong(66, "no such run", "stop", "-f" + "A" * 20)
    client.wrong(66, "no such run", "logs", "-f", "--", "-" + "A" * 21)


def test_a_start_that_is_sent_again_is_one_run(client: Client) -> None:
    """The same key gives the same run."""
    key = new_id()
    ids = {client.good("run", "-d", "--key", key, "silent").strip() for _ in range(3)}
    assert len(ids) == 1
    client.wrong(65, "key", "run", "--key", key, "lines")
    client.wrong(2, "Idempotency-Key", "run", "--key", "a b", "silent")


def test_a_token_without_the_scope(server: Server, person: requests.Session, tmp_path: Path) -> None:
    """The scope is named, and where one gets a better token."""
    client = Client(tmp_path, server.url, make_token(server.url, person, "read"))
    said = client.wrong(77, "`run`", "run", "silent")
    assert f"{server.url}/tokens" in said


def test_exit_codes_are_the_jobs(client: Client, api: Api) -> None:
    """Its own where it failed, those of shells and timeout else."""
    assert client("run", "ends", "how=exit 3").returncode == 3
    assert client("run", "ends", "how=exception").returncode == 1
    assert client("run", "ends", "how=exit 0").returncode == 0
    done = client("run", "dies")
    assert (done.returncode, done.stdout) == (128 + 11, b"before\n")
    assert b"SIGSEGV" in done.stderr
    assert client("run", "slow").returncode == 124
    assert client("logs", "-f", "last").returncode == 124
    assert client("logs", "last").returncode == 0
    for how, code in (("stop", 143), ("kill", 137)):
        run = client.good("run", "-d", "waits_elsewhere").strip()
        wait_until(lambda run=run: api.get(f"/runs/{run}")["position"])  # type: ignore[misc]
        api.post(f"/runs/{run}/{how}")
        assert client("logs", "-f", run).returncode == code


def test_json_is_an_object_a_line(client: Client) -> None:
    """A run as records: its beginning, its output, its end; and only once each."""
    records = client.json("run", "both", "pairs=2")
    assert [records[0]["type"], records[-1]["type"]] == ["begin", "end"]
    assert "".join(each["data"] for each in records if each.get("stream") == "err") == "err 0\nerr 1\n"
    assert any("base64" in each for each in records)
    assert client("run", "--json", "ends", "how=exit 3").returncode == 3
