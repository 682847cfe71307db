"""After a login people go on to a path of this server, and nowhere else."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.paths import local_path

HOME = "http://localhost:5000/"
GOOD = [
    "/",
    "/index",
    "/jobs/list_spaces",
    "/jobs/list_spaces?run=abc&again=%C3%A9%20b",
    "/runs/AAAAAAAAAAAAAAAAAAAAAA",
    "/jobs/caf\u00e9",
    "/jobs/x?text=http://other.example/",
    "/jobs/",
]
HOSTILE = [
    "",
    "jobs",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\x00/evil.example",
    "/\x7f/evil.example",
    "/\u2028/evil.example",
    "/%09/evil.example",
    "/%2f%2fevil.example",
    "/%2F/evil.example",
    "/%5cevil.example",
    "/%5Cevil.example",
    "/%255cevil.example",
    "/%252f%252fevil.example",
    "/%25252f%25252fevil.example",
    "/%0d%0aSet-Cookie:%20a=b",
    "/\r\nSet-Cookie: a=b",
    "/.//evil.example",
    "/..//evil.example",
    "/jobs/..//evil.example",
    "/%2e%2e//evil.example",
    "/%2e/%2fevil.example",
    "/jobs//evil.example",
    "/;//evil.example",
    "http://evil.example",
    "https:evil.example",
    "https:///evil.example",
    "//evil.example@localhost",
    "//localhost:5000@evil.example/",
    "javascript:alert(1)",
    "data:text/html,<script>",
    "http:/evil.example",
    "//[",
    "/%ff%fe",
    "/login",
    "/login?next=/login",
    "/logout",
    "/logout/",
    "/LOGOUT",
    "/%6cogout",
    "/redirect?code=a&state=b",
    "/" + "a" * 3000,
]


@pytest.mark.parametrize("path", GOOD)
def test_paths_of_this_server(path: str) -> None:
    """Paths of this server stay as they are."""
    assert local_path(path) == path


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_targets(path: str) -> None:
    """Everything that might lead elsewhere, in a circle, or out again leads to the first page."""
    assert local_path(path) == "/"


@pytest.mark.parametrize("value", [None, 5, b"/jobs", ["/jobs"]])
def test_no_text(value: object) -> None:
    """What is no text leads to the first page."""
    assert local_path(value) == "/"


_PIECES = st.sampled_from(
    [
        "/",
        "\\",
        ".",
        "..",
        ":",
        "@",
        "?",
        "#",
        "%2f",
        "%5c",
        "%09",
        "%252f",
        "\t",
        "\n",
        "\r",
        " ",
        "\x00",
        "evil.example",
    ]
)


@given(st.one_of(st.lists(_PIECES, max_size=8).map("".join), st.text(max_size=20).map(lambda text: "/" + text)))
def test_any_target_stays_here(address: str) -> None:
    """Read as a browser reads it, and once more as a proxy that decodes it, a target never names another host."""
    target = local_path(address)
    for read in (target, quote(target, safe="/%?=&"), target.replace("%2f", "/").replace("%5c", "/")):
        as_browser = read.strip().replace("\t", "").replace("\n", "").replace("\r", "").replace("\\", "/")
        assert as_browser.startswith("/")
        assert not as_browser.startswith("//")
        assert urlsplit(urljoin(HOME, as_browser)).netloc == "localhost:5000"
    assert target.isprintable()
