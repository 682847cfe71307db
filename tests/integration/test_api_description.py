"""The OpenAPI description is made from the code, is right about the running server, and can be read by people."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from app.rights import DOORS
from tests.api import Api, make_token
from tests.serving import Server

ROOT = Path(__file__).parents[2]
# The description and its page describe no doors but themselves.
THEMSELVES = {"api.description", "api.manual"}


@pytest.mark.timeout(300)
def test_the_server_does_what_the_description_says(server: Server, person: requests.Session, tmp_path: Path) -> None:
    """Schemathesis finds no answer that the description does not promise, and nothing that breaks the server."""
    token = make_token(server.url, person, "read", "run", "stop", "channels")
    st = Path(sys.executable).with_name("st")
    options = ["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--generation-deterministic"]
    command = [str(st), "--config-file", str(ROOT / "tests" / "schemathesis.toml"), "run", *options, "--no-color"]
    address = [f"{server.url}/api/v1.0/openapi.json", "-H", f"Authorization: Bearer {token}"]
    done = subprocess.run([*command, *address], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout[-8000:]
    assert "No issues found" in done.stdout, done.stdout[-2000:]


def test_every_door_is_described(api: Api) -> None:
    """Each door of the API is in the description, which is OpenAPI 3.1 and needs no login."""
    description = requests.get(f"{api.url}/openapi.json", timeout=20).json()
    assert description["openapi"].startswith("3.1.")
    described = {each["operationId"] for methods in description["paths"].values() for each in methods.values()}
    doors = {door.removeprefix("http:") for door in DOORS if door.startswith(("http:api.", "http:channels."))}
    names = {door.rpartition(".")[2].rstrip("_") for door in doors - THEMSELVES}
    assert names - {"output", "stream"} <= described
    assert {f"{name}_{how}" for name in ("output", "stream") for how in ("by_accept", "in_form")} <= described
    for path, methods in description["paths"].items():
        for each in methods.values():
            assert each["summary"], path
            assert {"400", "401", "403", "500"} <= set(each["responses"])


def test_the_page_has_each_door(api: Api) -> None:
    """The page for people names each address and each shape, and loads nothing from elsewhere."""
    page = requests.get(f"{api.url}/docs", timeout=20)
    assert page.ok
    description = requests.get(f"{api.url}/openapi.json", timeout=20).json()
    for path in description["paths"]:
        assert path in page.text
    for shape in description["components"]["schemas"]:
        assert f'id="{shape}"' in page.text
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page.text)
    problem = requests.get(f"{api.url}/nothing", timeout=20).json()
    assert f'id="{problem["type"].partition("#")[2]}"' in page.text
