"""The page of another origin in a real browser: its program, in Python, calls the product by JSON-RPC."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from app.model import new_id
from tests.api import make_token, revoke_tokens
from tests.brokers import RabbitBroker
from tests.e2e.conftest import SECONDS, Complaints
from tests.integration.simulator_fixture import Simulator
from tests.server_fixture import settings_for
from tests.serving import ROOT, Server, free_port, running_server
from tests.waiting import wait_until
from tests.workers import Worker

# A broker, a worker and a Python in the browser start, and machines are slow.
pytestmark = pytest.mark.timeout(240)
LONG = 60_000


@contextmanager
def served() -> Iterator[str]:
    """The page's own server, as its documentation starts it; its origin."""
    port = free_port()
    command = [sys.executable, "-m", "examples.elsewhere", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert f"CORS_ORIGINS=http://localhost:{port}" in process.stdout.readline()
            yield f"http://localhost:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The page's origin."""
    with served() as origin:
        yield origin


@pytest.fixture(scope="module")
def product(
    elsewhere: str, _valkey_socket: Path, _shared_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The product, which that origin may call, with a RabbitMQ and a worker."""
    folder = tmp_path_factory.mktemp("elsewhere")
    broker = RabbitBroker(tmp_path_factory.mktemp("rabbit"))
    try:
        settings: dict[str, Any] = settings_for(_valkey_socket, _shared_simulator, folder)
        settings |= {**broker.settings, "CORS_ORIGINS": elsewhere, "WORKER_GRACE": "0.5", "CELERY_ECHO_SECONDS": "5"}
        with running_server(folder / "server.log", **settings) as server:
            worker = Worker(folder, settings)
            try:
                worker.wait_ready()
                yield server
            finally:
                worker.close()
    finally:
        broker.close()


@pytest.fixture
def page(browser: Browser, elsewhere: str) -> Iterator[Page]:
    """The page, whose Python is ready."""
    context = browser.new_context()
    opened = context.new_page()
    opened.set_default_timeout(SECONDS)
    complaints = Complaints(opened)
    opened.goto(elsewhere)
    expect(opened.locator("#server-said")).to_have_text("Python is ready.", timeout=LONG)
    yield opened
    # Of what a server refuses browsers complain by themselves.
    assert [text for text in complaints.texts if "Failed to load resource" not in text and "CORS" not in text] == []
    context.close()


@pytest.fixture(scope="module")
def token(product: Server) -> Iterator[str]:
    """Somebody's token there."""
    person, name = product.log_in(), new_id()
    yield make_token(product.url, person, "read", "run", "stop", name=name)
    revoke_tokens(product.url, person, name)


def connect(page: Page, server: Server, token: str) -> None:
    """Fill in address and token, and connect."""
    page.get_by_label("Address").fill(server.url + "/")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Connect").click()


@pytest.mark.parametrize(
    ("method", "expected"),
    [("Echo", "Grüße\n<b>"), ("Reverse", ">b<\neßürG"), ("UPPERCASE", "GRÜSSE\n<B>"), ("lowercase", "grüße\n<b>")],
)
def test_a_text_is_echoed(page: Page, product: Server, token: str, method: str, expected: str) -> None:
    """A text, a method, Send: the echo is shown as text."""
    connect(page, product, token)
    page.get_by_label("Text").fill("Grüße\n<b>")
    page.get_by_label("Method").select_option(label=method)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#echo-said")).to_have_text(expected, use_inner_text=True)
    assert page.locator("#echo-said b").count() == 0


def test_celery_echoes(page: Page, product: Server, token: str) -> None:
    """The page says which task it waits for, counts its checks, and shows the echo with the time that it took."""
    connect(page, product, token)
    page.get_by_label("Text").fill("stressed")
    page.get_by_label("Method").select_option("reverse")
    # All that is said, however short.
    page.evaluate(
        """() => {
          window.said = [];
          const line = document.getElementById("echo-said");
          new MutationObserver(() => window.said.push(line.textContent)).observe(line, {childList: true});
        }"""
    )
    page.get_by_role("button", name="Send to Celery").click()
    said = page.locator("#echo-said")
    expect(said).to_contain_text("Celery echo: desserts\nElapsed Time: ", use_inner_text=True, timeout=LONG)
    texts = page.evaluate("window.said")
    assert texts[0] == "Waiting for Celery id: .."
    task = texts[1].removeprefix("Waiting for Celery id: ")
    assert len(task) == 22
    checks = [text for text in texts[2:-1] if text]
    assert checks[0].startswith(f"Waiting for Celery (id, checkno): {task}, 1")
    assert 2 <= int(texts[-1].rpartition(" ")[2]) <= 60


def test_a_run_is_started_watched_and_stopped(page: Page, product: Server, token: str) -> None:
    """Its output comes while it goes on, and Stop ends it."""
    connect(page, product, token)
    expect(page.locator("#server-said")).to_contain_text("Connected: ")
    page.get_by_label("Job").select_option("lines")
    page.get_by_label("Parameters").fill('{"count": 100000, "pause": 0.05}')
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#output")).to_contain_text("0\n1\n2\n3\n", use_inner_text=True)
    expect(page.locator("#run-said")).to_contain_text("running")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#run-said")).to_contain_text("stopped")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    lines = page.locator("#output").inner_text().split()
    assert lines == [str(number) for number in range(len(lines))]


def test_what_is_wrong_is_said(page: Page, product: Server, token: str, server: Server) -> None:
    """A wrong token, a server that does not list this origin, no JSON, a wrong parameter: each in words."""
    connect(page, product, "frt_" + "A" * 43)
    said = page.locator("#server-said")
    expect(said).to_have_class("said wrong")
    expect(said).not_to_contain_text("cannot be reached")
    connect(page, server, token)
    expect(said).to_contain_text("CORS_ORIGINS")
    connect(page, product, token)
    expect(said).to_contain_text("Connected")
    page.get_by_label("Job").select_option("lines")
    for params, expected in [("{", "no JSON"), ('{"count": "many"}', "count")]:
        page.get_by_label("Parameters").fill(params)
        page.get_by_role("button", name="Start").click()
        expect(page.locator("#run-said")).to_contain_text(expected)


def test_it_fits_a_phone(page: Page) -> None:
    """Nothing is wider than the screen."""
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_its_server_has_nothing_else(elsewhere: str) -> None:
    """Only the page's own files are served."""
    for path in ("/", "/page.py", "/style.css", "/brython.js"):
        assert requests.get(elsewhere + path, timeout=10).ok
    for path in ("/__main__.py", "/..%2F..%2Fpyproject.toml", "/../../pyproject.toml", "/x"):
        assert requests.get(elsewhere + path, timeout=10).status_code == 404
    wait_until(lambda: requests.get(elsewhere, timeout=10).ok)
