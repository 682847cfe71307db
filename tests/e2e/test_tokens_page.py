"""Personal access tokens in a real browser, and its EventSource at the HTTP API."""

from __future__ import annotations

from collections.abc import Callable

import requests
from playwright.sync_api import Page, expect

from tests.api import SECRET, Api
from tests.e2e.conftest import complaints_of
from tests.serving import Server

Visit = Callable[..., Page]
# Counts each line once, though its connection ends with the answer and is made anew.
LISTEN = """
address => new Promise(resolve => {
  const source = new EventSource(address), seen = [];
  source.addEventListener("output", event => seen.push(JSON.parse(event.data).data));
  const look = turns => {
    if (source.readyState === EventSource.CLOSED || !turns) resolve([seen.join(""), source.readyState]);
    else setTimeout(() => look(turns - 1), 100);
  };
  source.addEventListener("end", event => look(200));
})
"""


def test_a_token_is_made_used_and_revoked(visit: Visit, server: Server) -> None:
    """From the header to the page; the token is shown, works, is gone after a reload, and ends by Revoke."""
    page = visit("/")
    page.get_by_role("link", name="Tokens", exact=True).click()
    page.get_by_label("Name").fill("my laptop")
    page.get_by_label("run:").check()
    page.get_by_label("Expires after").select_option("7")
    page.get_by_label("Name").press("Enter")
    secret = page.locator("#token").inner_text()
    assert SECRET.fullmatch(secret)
    api = Api(server.url, secret)
    assert api.get("/me")["scopes"] == ["read", "run"]
    page.goto(f"{server.url}/tokens")
    assert secret not in page.content()
    row = page.get_by_role("row", name="my laptop").first
    expect(row).to_contain_text("read, run")
    page.get_by_role("button", name="Revoke my laptop").first.click()
    page.wait_for_url("**/tokens")
    assert api.ask("/me").status_code == 401
    assert complaints_of(page) == []


def test_the_tokens_page_fits_a_phone(visit: Visit) -> None:
    """A program may have filled in the form; nothing is wider than the screen."""
    page = visit("/tokens?name=the+CLI&scope=read&scope=stop", viewport={"width": 360, "height": 740})
    expect(page.get_by_label("Name")).to_have_value("the CLI")
    expect(page.get_by_label("stop:")).to_be_checked()
    expect(page.get_by_label("run:")).not_to_be_checked()
    for path in ("/tokens", "/api/v1.0/docs"):
        page.goto(page.url.partition("/tokens")[0] + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_browsers_event_source_reads_a_run(visit: Visit, server: Server) -> None:
    """EventSource has each line once, comes again after the end, is told that there is no more, and stays away."""
    page = visit("/")
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    person = requests.Session()
    person.cookies.update(cookies)
    api = Api(server.url, person=person)
    run = api.start("lines", count=50, pause=0.01)
    text, state = page.evaluate(LISTEN, f"/api/v1.0/runs/{run}/output.sse")
    assert text == "".join(f"{number}\n" for number in range(50))
    assert state == 2
