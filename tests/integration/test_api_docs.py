"""docs/api.md: its lines work as they stand, and it tells all that the API does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import requests

from app.api_models import OutputQuery, RunsQuery, SearchQuery
from app.problems import REFUSED
from app.rights import Scope
from tests.api import make_token
from tests.serving import Server

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_its_lines_work(server: Server, person: requests.Session) -> None:
    """All lines together are a script that ends well, and shows what they promise."""
    lines = re.findall(r"^    ((?:[A-Z]+=|curl ).*)$", PAGE, re.MULTILINE)
    assert sum("curl" in line for line in lines) >= 10
    environment = {**os.environ, "URL": server.url, "TOKEN": make_token(server.url, person)}
    script = "set -euo pipefail\n" + "\necho; echo ---\n".join(lines)
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr)
    answers = done.stdout.split("---\n")
    assert len(answers) == len(lines)
    assert '"scopes":["channels","code","read","run","stop"]' in answers[2]
    assert sum('"job":"count"' in each for each in answers) >= 3
    assert sum("event: end" in each for each in answers) == 1


def test_it_names_every_option_scope_and_code() -> None:
    """No option, scope, or code of HTTP's own is left out."""
    names = {name for model in (OutputQuery, RunsQuery, SearchQuery) for name in model.model_fields}
    codes = {code for status, (code, _) in REFUSED.items() if status in (405, 406, 413, 415)}
    for name in {*names, *map(str, Scope), *codes}:
        assert re.search(rf"\b{name}\b", PAGE), name
