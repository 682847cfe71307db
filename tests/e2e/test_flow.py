"""The whole way in a real browser: log in, Start, live lines, Stop, reload, a cut network, much output, two people."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from tests.e2e.conftest import Complaints, complaints_of, shown
from tests.oracle import numbers
from tests.proxy import Proxy
from tests.serving import Server, free_port

Visit = Callable[..., Page]


class Received:
    """The output that a page's websockets brought for its newest run, with the check that nothing came twice."""

    def __init__(self, page: Page) -> None:
        self.text, self.position, self.sockets = "", 0, 0
        self.wrong: list[Any] = []
        page.on("websocket", self._opened)

    def _opened(self, opened: WebSocket) -> None:
        self.sockets += 1
        opened.on("framereceived", self._frame)

    def _frame(self, payload: str | bytes) -> None:
        # An event of the default namespace; the state of the system has one of its own.
        if not isinstance(payload, str) or not payload.startswith("42["):
            return
        event, message = json.loads(payload[2:])
        if event == "output":
            if message["start"] != self.position:
                self.wrong.append((self.position, message["start"]))
            self.position = message["position"]
            self.text += message["data"]


def _run_of(page: Page) -> str:
    return page.url.partition("run=")[2]


def _wait(page: Page, status: str, seconds: float = 30) -> None:
    page.wait_for_selector(f"#log[data-status='{status}']", timeout=seconds * 1000)


def _wait_for_position(page: Page, position: int) -> None:
    """Wait until the terminal shows more than so many bytes; the page's policy forbids waiting by eval."""
    for _ in range(400):
        if int(page.get_attribute("#log", "data-position") or 0) > position:
            return
        page.wait_for_timeout(50)
    raise AssertionError(page.get_attribute("#log", "data-position"))


def test_login_with_consent_leads_to_the_page_first_asked_for(browser: Browser, server: Server) -> None:
    """A visitor is sent to the provider, allows, and lands on the job that was asked for, by name."""
    with browser.new_context() as context:
        page = context.new_page()
        complaints = Complaints(page)
        page.goto(f"{server.url}/jobs/list_spaces")
        expect(page.locator("button[value=allow]")).to_be_visible()
        page.click("button[value=allow]")
        page.wait_for_url(f"{server.url}/jobs/list_spaces")
        expect(page.get_by_text("Authenticated as First User (user1@example.com)")).to_be_visible()
        assert complaints.texts == []
        assert [cookie for cookie in context.cookies(server.url) if not cookie["httpOnly"]] == []


def test_login_with_denial_says_so_and_offers_another_try(browser: Browser, server: Server) -> None:
    """A visitor who denies gets a page that says what happened, and can log in after all."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        page.click("button[value=deny]")
        expect(page.locator("h1")).to_be_visible()
        assert page.url.startswith(server.url)
        assert "Traceback" not in page.content()
        page.get_by_role("link", name="Log in").click()
        page.click("button[value=allow]")
        expect(page.get_by_text("Authenticated as First User")).to_be_visible()


def test_list_my_spaces_line_by_line(visit: Visit) -> None:
    """The example job runs as the visitor: each space, then the statistics, then the last line."""
    page = visit("/jobs/list_spaces")
    received = Received(page)
    page.reload()
    page.click("#start")
    _wait(page, "succeeded")
    lines = received.text.splitlines()
    assert len([line for line in lines if line.startswith("space stats for ")]) == 7
    assert lines[-1] == "-------------- Done ----------"
    assert "-------------- Done ----------" in shown(page)
    assert complaints_of(page) == []


def test_start_live_lines_stop(visit: Visit) -> None:
    """Lines are on the screen while the job runs; Stop ends it and the page says so; Clear empties the terminal."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "100000")
    page.fill("#p-pause", "0.01")
    page.click("#start")
    _wait(page, "running")
    _wait_for_position(page, 60)
    numbers = [int(line) for line in shown(page).split()]
    assert len(numbers) > 5
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    expect(page.locator("#stop")).to_be_enabled()
    page.click("#stop")
    _wait(page, "stopped")
    expect(page.locator("#start")).to_be_enabled()
    page.click("#clear")
    assert shown(page).strip() == ""


def test_a_reload_in_mid_run_shows_everything(visit: Visit, server: Server) -> None:
    """After a reload the same run is there from its first line, and goes on."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "400")
    page.fill("#p-pause", "0.01")
    page.click("#start")
    _wait_for_position(page, 100)
    received = Received(page)
    page.reload()
    _wait(page, "succeeded")
    assert received.wrong == []
    assert received.text == numbers(400)
    page.goto(f"{server.url}/runs/{_run_of(page)}")
    _wait(page, "succeeded")
    assert page.get_attribute("#log", "data-position") == str(len(numbers(400)))


def test_a_network_cut_of_three_seconds_loses_and_repeats_nothing(
    visit: Visit, start_server: Callable[..., Server]
) -> None:
    """The page reconnects by itself; what it got is byte for byte what the run printed, each byte once."""
    port = free_port()
    proxy = Proxy(port)
    start_server(PORT=str(port), REDIRECT_URI=f"http://localhost:{proxy.port}/redirect")
    url = f"http://localhost:{proxy.port}"
    page = visit("/jobs/lines", url=url)
    received = Received(page)
    page.reload()
    page.fill("#p-count", "900")
    page.fill("#p-pause", "0.01")
    page.click("#start")
    _wait_for_position(page, 300)
    proxy.cut()
    expect(page.get_by_text("Reconnecting").first).to_be_visible()
    before = received.position
    page.wait_for_timeout(3000)
    assert received.position == before
    proxy.heal()
    _wait(page, "succeeded", 40)
    assert received.wrong == []
    assert received.text == numbers(900)
    assert received.sockets >= 2
    assert page.get_attribute("#log", "data-position") == str(len(numbers(900)))
    assert shown(page).split()[-1] == "899"
    proxy.close()


def test_two_hundred_thousand_lines_leave_the_page_responsive(visit: Visit) -> None:
    """During a flood the page draws frames and answers; all of it arrives, and the terminal stays bounded."""
    page = visit("/jobs/lines")
    received = Received(page)
    page.reload()
    page.evaluate(
        """() => { let last = performance.now(); window.longest = 0;
        const frame = (now) => { window.longest = Math.max(window.longest, now - last); last = now;
                                 requestAnimationFrame(frame); };
        requestAnimationFrame(frame); }"""
    )
    page.fill("#p-count", "200000")
    page.click("#start")
    _wait(page, "succeeded", 90)
    assert received.wrong == []
    assert received.text == numbers(200_000)
    assert page.evaluate("window.longest") < 5000
    assert "199999" in shown(page)
    assert page.evaluate("document.querySelectorAll('#log *').length") < 5000


def test_two_people_see_their_own_runs_only(visit: Visit) -> None:
    """Neither sees the other's runs, on the list or by address."""
    mine = visit("/jobs/lines", user=0)
    mine.click("#start")
    _wait(mine, "succeeded")
    run = _run_of(mine)
    theirs = visit(f"/runs/{run}", user=1)
    expect(theirs.locator("h1")).to_be_visible()
    assert theirs.locator("#log").count() == 0
    theirs.goto(theirs.url.partition("/runs/")[0])
    expect(theirs.get_by_text("Authenticated as Second User")).to_be_visible()
    assert run not in theirs.content()
    mine.goto(mine.url.partition("/jobs/")[0])
    assert run in mine.content()


def test_wrong_parameters_come_back_beside_their_fields(visit: Visit) -> None:
    """What the server refuses stands beside its field; correcting it starts the job."""
    page = visit("/jobs/lines")
    page.evaluate("document.querySelector('#p-count').type = 'text'")
    page.fill("#p-count", "many")
    page.click("#start")
    field = page.locator("#p-count")
    expect(field).to_have_attribute("aria-invalid", "true")
    described = field.get_attribute("aria-describedby")
    assert described
    assert "integer" in " ".join(page.locator(f"#{name}").inner_text() for name in described.split())
    page.fill("#p-count", "3")
    page.click("#start")
    _wait(page, "succeeded")


@pytest.mark.parametrize(("how", "status"), [("exception", "failed"), ("exit 3", "failed"), ("exit 0", "succeeded")])
def test_every_end_shows(visit: Visit, how: str, status: str) -> None:
    """A failed job shows its traceback and its status, and can be started again."""
    page = visit("/jobs/ends")
    page.fill("#p-how", how)
    page.click("#start")
    _wait(page, status)
    assert "before" in shown(page)
    if how == "exception":
        assert "ValueError: it broke <b>here</b>" in shown(page)
    page.click("#start")
    page.wait_for_timeout(50)
    _wait(page, status)


def test_logout_in_one_click_ends_the_session(visit: Visit, server: Server) -> None:
    """After Logout a page of this browser is asked to log in again, and an open page says that it is logged out."""
    page = visit("/jobs/lines")
    other = page.context.new_page()
    other.goto(f"{server.url}/jobs/lines")
    page.get_by_role("link", name="Logout").click()
    expect(page.get_by_text("logged out").first).to_be_visible()
    expect(other.get_by_text("logged out").first).to_be_visible(timeout=6000)
    other.goto(f"{server.url}/jobs/lines")
    expect(other.locator("button[value=allow]")).to_be_visible()


def test_progress_is_a_bar_while_the_job_runs(visit: Visit) -> None:
    """What the job says of its progress is shown beside the elapsed time, and goes with its end."""
    page = visit("/jobs/count")
    page.fill("#p-steps", "200")
    page.click("#start")
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("max", "200")
    expect(bar).to_be_visible()
    page.click("#stop")
    _wait(page, "stopped")
    expect(bar).to_be_hidden()


def test_coming_back_to_a_job_shows_its_run_under_way(visit: Visit) -> None:
    """The job's page without a run in its address shows the run that is still at work."""
    page = visit("/jobs/lines")
    page.fill("#p-count", "100000")
    page.fill("#p-pause", "0.01")
    page.click("#start")
    _wait_for_position(page, 50)
    other = page.context.new_page()
    other.goto(page.url.partition("?")[0])
    _wait(other, "running")
    other.click("#stop")
    _wait(page, "stopped")
    _wait(other, "stopped")
    shown_here, shown_there = page.get_attribute("#log", "data-position"), other.get_attribute("#log", "data-position")
    assert int(shown_here or 0) > 50
    assert shown_here == shown_there
