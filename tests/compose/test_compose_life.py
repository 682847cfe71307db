"""The project of a developer through its life: credentials that come, settings that are wrong, and its end."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.compose.project import URL, Project, answers, get
from tests.serving import Page, log_in
from tests.waiting import wait_until

# The first start may have to fetch and build everything.
pytestmark = pytest.mark.timeout(1500)


def test_with_credentials_the_real_provider_is_asked(project: Project) -> None:
    """CLIENT_ID and CLIENT_SECRET in webexintegration.env are enough; the stand-in sleeps then."""
    file = project.folder / "webexintegration.env"
    template = (project.folder / "webexintegration.env.template").read_text()
    filled = template.replace("CLIENT_ID=\n", "CLIENT_ID=an-id\n").replace("CLIENT_SECRET=\n", "CLIENT_SECRET=s3cret\n")
    file.write_text(filled)
    try:
        project.compose("up", "-d", "--wait")
        wait_until(answers, "the console does not answer")
        answer = get("/")
        assert answer is not None
        assert re.match(r"https://[^/]+/v1/authorize\?.*client_id=an-id", answer.headers["Location"])
        stand_in = get("/webex/v1/authorize")
        assert stand_in is not None
        assert stand_in.status_code == 502
        assert "CLIENT_ID is set" in project.logs("webex")
    finally:
        file.unlink()
        project.compose("up", "-d", "--wait")
    wait_until(answers, "the console does not answer")
    log_in(URL)


def test_a_wrong_setting_stands_in_the_log(project: Project) -> None:
    """One line names it, and everything else keeps running."""
    file = project.folder / "webexintegration.env"
    file.write_text("MAX_CONNECTIONS=many\n")
    try:
        project.compose("up", "-d", check=False)
        wait_until(lambda: "MAX_CONNECTIONS: expected a whole number" in project.logs("flask"), "no such line")
        assert project.health("redis") == "healthy"
    finally:
        file.unlink()
        project.compose("up", "-d", "--wait")


def test_down_leaves_nothing_but_the_data(project: Project) -> None:
    """No container and no network stays; the next start has the history, with all that was in it."""
    person = log_in(URL)
    page = Page(URL, person)
    run = page.start("count", steps=3, pause=0)
    page.wait_for_end(run)
    page.close()
    project.compose("down")
    assert project.left() == [f"{project.name}_archive"]
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=project.folder, capture_output=True, text=True, check=True, env=project.environment,
    ).stdout  # fmt: skip
    assert set(changed.split()) <= {"M", "??", "app/templates/base.html", "jobs/fresh.py"}
    project.compose("up", "-d", "--wait")
    wait_until(answers, "the console does not answer")
    assert person.get(f"{URL}/runs/{run}/output", timeout=20).ok
    project.compose("down")
    assert project.left() == [f"{project.name}_archive"]
