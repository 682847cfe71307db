"""What every answer of the pages carries, and what errors look like."""

from __future__ import annotations

import re

import pytest
import requests

from tests.serving import Server

ROUTES = [
    "/healthz",
    "/readyz",
    "/static/base.css",
    "/static/none.css",
    "/vendor/none.js",
    "/nowhere",
    "/redirect",
    "/logout",
]
PAGES = ["/", "/index", "/jobs/count", "/jobs/none", "/runs/none", "/runs/none/output", "/jobs/count?run=none"]
NONCE = re.compile(r"script-src 'nonce-([\w-]{22})'; style-src 'self' 'nonce-([\w-]{22})'")


@pytest.mark.parametrize("path", ROUTES + PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_every_answer_is_under_the_policy(server: Server, person: requests.Session, path: str, method: str) -> None:
    """Pages, files, errors and refused methods alike: a strict policy, nosniff, no frames, no traceback."""
    answer = person.request(method, server.url + path, allow_redirects=False, timeout=20)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "Traceback" not in answer.text
    # Held up for a moment by whatever else this machine does, a server is not ready for a while.
    assert answer.status_code < 500 or path == "/readyz"


def test_each_answer_has_a_nonce_of_its_own(server: Server, person: requests.Session) -> None:
    """The nonce is new for each request, and is the one that the page's scripts carry."""
    seen = set()
    for _ in range(3):
        answer = person.get(f"{server.url}/jobs/count", timeout=20)
        found = NONCE.search(answer.headers["Content-Security-Policy"])
        assert found
        assert set(re.findall(r'nonce="([^"]*)"', answer.text)) == {found[1]} == {found[2]}
        seen.add(found[1])
    assert len(seen) == 3


def test_pages_are_not_kept_and_versioned_files_are(server: Server, person: requests.Session) -> None:
    """Pages say no-store; a file whose address names its content may be kept for ever; others are asked about."""
    page = person.get(f"{server.url}/jobs/count", timeout=20)
    assert page.headers["Cache-Control"] == "no-store"
    addresses = set(re.findall(r'"(/(?:static|vendor)/[^"]+)"', page.text))
    kept = [address for address in addresses if "?v=" in address or address.startswith("/vendor/")]
    assert len(kept) > 10
    for address in kept:
        answer = person.get(server.url + address, timeout=20)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["Cache-Control"]
        assert "Set-Cookie" not in answer.headers
    plain = person.get(f"{server.url}/static/base.css", timeout=20)
    assert plain.headers["Cache-Control"] == "no-cache"
    again = person.get(f"{server.url}/static/base.css", headers={"If-None-Match": plain.headers["ETag"]}, timeout=20)
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path", ["../pyproject.toml", "%2e%2e/pyproject.toml", "..%2fapp/config.py", "x/../../Makefile", ""]
)
def test_vendor_gives_its_own_files_only(server: Server, path: str) -> None:
    """No path leads out of the folder."""
    request = requests.Request("GET", server.url).prepare()
    request.url = f"{server.url}/vendor/{path}"
    answer = requests.Session().send(request, timeout=20, allow_redirects=False)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "path", ["/jobs/none", "/runs/none", "/nowhere", "/jobs/count?run=none", "/jobs/count?again=no"]
)
def test_what_is_unknown_says_what_to_do(server: Server, person: requests.Session, path: str) -> None:
    """A 404 is a page with a way on."""
    answer = person.get(server.url + path, timeout=20)
    assert answer.status_code == 404
    assert "There is no such" in answer.text
    assert "Go to the jobs" in answer.text


def test_a_run_of_another_job_is_not_shown_on_a_jobs_page(server: Server, person: requests.Session) -> None:
    """The run in a job's address has to be one of that job."""
    page = server.page(person)
    run = page.start("silent")
    page.wait_for_end(run)
    page.close()
    assert person.get(f"{server.url}/jobs/silent?run={run}", timeout=20).status_code == 200
    assert person.get(f"{server.url}/jobs/count?run={run}", timeout=20).status_code == 404


def test_a_download_is_a_text_file_and_nothing_else(server: Server, person: requests.Session) -> None:
    """Output that looks like a page is saved, not shown."""
    page = server.page(person)
    run = page.start("hostile")
    page.wait_for_end(run)
    page.close()
    answer = person.get(f"{server.url}/runs/{run}/output", timeout=20)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="hostile-{run}.txt"'
    assert answer.content.startswith(b"<img src=x")
    assert b"\xff\x00\xfe broken \xe2\x82\n" in answer.content


@pytest.mark.parametrize("path", ["/", "/jobs/count", "/runs/none", "/runs/none/output", "/jobs/none"])
def test_who_is_not_logged_in_goes_to_the_provider(server: Server, path: str) -> None:
    """A page without a login leads to the provider's authorize address, and tells nothing of what exists."""
    answer = requests.get(server.url + path, allow_redirects=False, timeout=20)
    assert answer.status_code == 302
    assert "/authorize?" in answer.headers["Location"]
    assert "response_type=code" in answer.headers["Location"]


def test_health_is_known_without_a_login(server: Server) -> None:
    """A probe gets JSON."""
    answer = requests.get(f"{server.url}/healthz", timeout=20)
    assert answer.json()["status"] == "ok"


@pytest.mark.parametrize("query", ["EIO=4&transport=polling", "EIO=3&transport=polling", "transport=none", ""])
def test_what_socket_io_answers_has_headers_too(server: Server, person: requests.Session, query: str) -> None:
    """The door's own answers and refusals, which no view makes, are under a policy and are not kept."""
    answer = person.get(f"{server.url}/socket.io/?{query}", timeout=10)
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store, no-transform"
