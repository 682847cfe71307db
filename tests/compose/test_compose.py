"""`docker compose -f docker-compose-dev.yml up -d --build` in a clean clone: the whole console on port 5000."""

from __future__ import annotations

import stat
import subprocess
import time
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from tests.compose.project import ENVIRONMENT, URL, Project, answers, docker
from tests.e2e.conftest import SECONDS, shown
from tests.serving import USERS, Page, log_in
from tests.waiting import wait_until

# The first start may have to fetch and build everything.
pytestmark = pytest.mark.timeout(1500)
SERVICES = ("redis", "webex", "flask", "runner", "nginx")
JOB = '''
from app.catalog import job


@job
def {name}(running):
    """A job that was added while everything ran."""
    print("{text}")
'''

STEADY = """
import time

from app.catalog import job


@job(executor="process")
def steady():
    for number in range(200):
        print(number)
        time.sleep(0.05)
"""


def _curl(jar: Path, *options: str) -> str:
    command = ["curl", "-sS", "--fail", "-L", "-b", str(jar), "-c", str(jar), "-w", "\n%{url_effective}", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=ENVIRONMENT).stdout


def _running(page: Page, **params: float) -> str:
    """A run that prints a number each 50 ms, and has begun."""
    run = page.start("count", **{"steps": 150, "pause": 0.05, **params})
    page.wait_for_text(run, "%|")
    return run


def _again(page: Page, person: requests.Session, run: str) -> Page:
    """What the page's own script does after its connection was cut."""
    wait_until(lambda: not page.client.connected, "the connection was not cut")
    wait_until(answers, "the console does not answer")
    again = Page(URL, person)
    again.texts, again.statuses = page.texts, page.statuses
    assert again.watch(run, page.positions[run])["ok"]
    return again


def test_everything_is_up_and_healthy(project: Project) -> None:
    """The services are healthy, the keys were made, and nothing but nginx is published."""
    assert all(project.health(service) == "healthy" for service in SERVICES)
    assert project.inspect("keys")["State"]["ExitCode"] == 0
    ports = {service: project.inspect(service)["HostConfig"]["PortBindings"] or {} for service in SERVICES}
    assert {service for service, bound in ports.items() if bound} == {"nginx"}
    assert ports["nginx"] == {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5000"}]}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_do_no_more_than_it_needs(project: Project, service: str) -> None:
    """Its server is not root, its files are not written, its log is bounded, and it comes back by itself."""
    container = project.inspect(service)
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    # Redis' own look at its health, which is listed too for a moment, is root's.
    wait_until(lambda: _nobody_is_root(project, service), "a server is root's")


def _nobody_is_root(project: Project, service: str) -> bool:
    processes = docker("top", f"{project.name}-{service}-1", "-eo", "pid,uid,args").splitlines()[1:]
    return bool(processes) and not [line for line in processes if line.split()[1] == "0"]


def test_nobody_sees_secrets_that_are_not_theirs(project: Project) -> None:
    """No secret in an environment or a command; Redis has its password and no key; others than the owner read none."""
    keys = project.folder / "instance"
    password = (keys / "redis" / "redis_password").read_text()
    secrets = [password, (keys / "secret.key").read_text(), (keys / "token.keys").read_text()]
    for service in SERVICES:
        said = docker("inspect", f"{project.name}-{service}-1") + docker("top", f"{project.name}-{service}-1")
        assert not [secret for secret in secrets if secret in said]
    assert project.compose("exec", "-T", "redis", "ls", "/run/secrets").split() == ["keys.lock", "redis_password"]
    for name in ("secret.key", "token.keys", "redis/redis_password"):
        assert not stat.S_IMODE((keys / name).stat().st_mode) & 0o007
    assert "NOAUTH" in project.compose("exec", "-T", "redis", "redis-cli", "keys", "*")
    settings = "for name in appendonly appendfsync maxmemory-policy; do redis-cli config get $name; done"
    found = project.compose("exec", "-T", "-e", f"REDISCLI_AUTH={password}", "redis", "sh", "-c", settings).split()
    assert found == ["appendonly", "yes", "appendfsync", "everysec", "maxmemory-policy", "noeviction"]


def test_what_is_written_belongs_to_the_owner_of_the_folder(project: Project) -> None:
    """Whoever cloned the repository can copy and delete all of it."""
    owner = project.folder.stat().st_uid
    data = project.folder / "redis_data" / "redis"
    written = [data, *data.rglob("*"), *(project.folder / "instance").rglob("*")]
    assert len(written) > 8
    assert {path.stat().st_uid for path in written} == {owner}


def test_only_the_web_server_reaches_redis(project: Project) -> None:
    """The others do not even find it."""
    for service in ("nginx", "webex"):
        assert not project.compose("exec", "-T", service, "getent", "hosts", "redis", check=False).strip()
    assert project.compose("exec", "-T", "flask", "getent", "hosts", "redis").strip()


def test_the_whole_flow_in_a_browser(project: Project, browser: Browser) -> None:
    """Login at the stand-in, Start, live output to the end, Stop, history: as a colleague would."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(URL)
        assert page.url.startswith(f"{URL}/webex/v1/authorize?")
        page.click("button[value=allow]")
        page.wait_for_url(f"{URL}/")
        page.goto(f"{URL}/jobs/list_spaces")
        page.click("#start")
        page.wait_for_selector("#log[data-status=succeeded]")
        assert "-------------- Done ----------" in shown(page)
        page.goto(f"{URL}/jobs/count")
        page.fill("#p-steps", "1000")
        page.click("#start")
        page.wait_for_selector("#log[data-status=running]")
        page.click("#stop")
        page.wait_for_selector("#log[data-status=stopped]")
        page.goto(URL)
        assert page.locator("a[href^='/runs/']").count() >= 2
    assert not complaints
    assert "Traceback" not in project.logs("flask")


def test_the_whole_flow_with_curl(tmp_path: Path, project: Project) -> None:
    """Login by hand: pages follow each other by redirects and cookies, all at one address."""
    jar = tmp_path / "jar"
    page, _, address = _curl(jar, f"{URL}/jobs/count").rpartition("\n")
    assert address.startswith(f"{URL}/webex/v1/authorize?")
    email = USERS.findall(page)[1]
    page, _, address = _curl(jar, "--data-urlencode", f"user={email}", "-d", "decision=allow", address).rpartition("\n")
    assert address == f"{URL}/jobs/count"
    assert 'id="start"' in page
    assert _curl(jar, f"{URL}/healthz").startswith('{"status":"ok"')
    project.health("flask")


def test_nginx_reloaded_in_mid_run(project: Project) -> None:
    """A run goes on, and so does its page, without a gap."""
    person = log_in(URL)
    page = Page(URL, person)
    # Longer than nginx leaves its old workers.
    run = _running(page, steps=260)
    project.compose("exec", "-T", "nginx", "/etc/nginx/site/start", "reload")
    page = _again(page, person, run)
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert not page.gaps
    assert page.text(run) == person.get(f"{URL}/runs/{run}/output", timeout=20).text
    page.close()


@pytest.mark.parametrize("how", ["restart", "kill", "stop"])
def test_redis_restarted_in_mid_run(project: Project, how: str) -> None:
    """Also by force, also away for some time: history is there, and the run and its page go on without a gap."""
    person = log_in(URL)
    page = Page(URL, person)
    earlier = page.start("count", steps=3, pause=0)
    page.wait_for_end(earlier)
    before = person.get(f"{URL}/runs/{earlier}/output", timeout=20).content
    run = _running(page)
    # The append-only file is written to disk each second, where the disk is busy every two.
    time.sleep(2.5)
    project.compose(how, "redis")
    if how == "stop":
        time.sleep(2)  # the job tells its progress five times a second, in vain
    project.compose("start", "redis")
    project.wait_for_health("redis")
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert not page.gaps
    assert page.text(run) == person.get(f"{URL}/runs/{run}/output", timeout=20).text
    assert person.get(f"{URL}/runs/{earlier}/output", timeout=20).content == before
    assert before
    page.close()


def test_flask_restarted_in_mid_run(project: Project) -> None:
    """It ends in time and by itself, its run is reported as stopped, and history and login outlive it."""
    person = log_in(URL)
    page = Page(URL, person)
    run = _running(page, steps=2000)
    began = time.monotonic()
    project.compose("restart", "flask")
    assert time.monotonic() - began < 60, "SIGTERM did not reach the web server: it is killed after 11 minutes"
    page = _again(page, person, run)
    assert page.wait_for_end(run)["status"] == "stopped"
    assert not page.gaps
    assert f"/runs/{run}" in person.get(URL, timeout=20).text
    page.close()


def test_process_runs_outlive_a_restart_of_flask(project: Project) -> None:
    """A run of the runner's goes on while the web server is another one, and viewers go on where they were."""
    (project.folder / "jobs" / "steady.py").write_text(STEADY)
    person = log_in(URL)
    page = Page(URL, person)
    run = page.start("steady")
    page.wait_for_text(run, "5\n")
    project.compose("restart", "flask")
    page = _again(page, person, run)
    assert page.wait_for_end(run)["status"] == "succeeded"
    assert page.text(run) == "".join(f"{number}\n" for number in range(200))
    assert not page.gaps
    page.close()
    (project.folder / "jobs" / "steady.py").unlink()


def test_flask_killed_in_mid_run(project: Project) -> None:
    """Without a warning: the run of the dead server is reported as lost, what it printed is there."""
    person = log_in(URL)
    page = Page(URL, person)
    run = _running(page, steps=2000)
    project.compose("kill", "flask")
    project.compose("up", "-d", "--wait")
    page = _again(page, person, run)
    assert page.wait_for_end(run, 40)["status"] == "lost"
    assert not page.gaps
    assert page.text(run)
    assert page.text(run) == person.get(f"{URL}/runs/{run}/output", timeout=20).text
    page.close()


def test_a_changed_job_needs_nothing_and_changed_code_a_restart(project: Project) -> None:
    """A saved job is live at once, a changed one at its next start, a changed template after a restart of flask."""
    person = log_in(URL)
    page = Page(URL, person)
    file = project.folder / "jobs" / "fresh.py"
    for text in ("one", "two"):
        file.write_text(JOB.format(name="fresh", text=text))
        run = page.start("fresh")
        assert page.wait_for_end(run)["status"] == "succeeded"
        assert page.text(run) == f"{text}\n"
    page.close()
    template = project.folder / "app" / "templates" / "base.html"
    template.write_text(template.read_text().replace("</body>", "<!-- a change --></body>"))
    project.compose("restart", "flask")
    project.wait_for_health("flask")
    wait_until(answers, "the console does not answer")
    assert "<!-- a change -->" in person.get(URL, timeout=20).text


def test_a_second_redis_keeps_off_the_data(project: Project) -> None:
    """Two servers that write one file would destroy it: the second refuses to start."""
    folders = [f"{project.folder}/redis_data:/data", f"{project.folder}/instance/redis:/run/secrets:ro"]
    options = [part for folder in folders for part in ("-v", folder)]
    assert "another Redis uses" in docker("run", "--rm", *options, "app-redis", check=False)
    assert project.health("redis") == "healthy"
