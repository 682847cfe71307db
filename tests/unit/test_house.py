"""The house: locks that hold what is asked for, and documents whose links and examples are right."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.catalog import Catalog
from app.config import load_settings

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-npm.lock"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _pins(lock: str) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PINNED.findall((ROOT / lock).read_text())}


def _wanted(extra: str | None) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"][extra] if extra else []
    return [Requirement(text) for text in [*project["dependencies"], *extras]]


@pytest.mark.parametrize(("lock", "extra"), [*zip(LOCKS, (None, "dev", "npm"), strict=True)])
def test_a_lock_holds_what_the_project_asks_for(lock: str, extra: str | None) -> None:
    """Whoever changes a dependency refreshes the locks."""
    pins = _pins(lock)
    wrong = [
        str(each) for each in _wanted(extra) if not each.specifier.contains(pins.get(canonicalize_name(each.name), "0"))
    ]
    assert not wrong, "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    """Every package has its hashes; where they come from is the machine's business."""
    text = (ROOT / lock).read_text()
    packages = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in text
    assert not re.search(r"(^|\s)(/|--(index|extra|find))", text)


def test_the_locks_agree() -> None:
    """Tests run upon the very versions that the product runs upon."""
    base = _pins("requirements.lock")
    for lock in LOCKS[1:]:
        assert {name: version for name, version in _pins(lock).items() if name in base} == base


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link to a file of the project has its file."""
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_readme_job_works(tmp_path: Path) -> None:
    """The job of the README is a job."""
    source = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert source
    (tmp_path / "countdown.py").write_text(source[1], encoding="utf-8")
    job = Catalog(load_settings(None, jobs=str(tmp_path)), executors=("thread",)).get("countdown")
    assert (job.error, job.summary) == (None, "Counts down to zero.")
    assert job.parse({"start": "3"}) == {"start": 3}


def test_make_help_names_each_target() -> None:
    """`make help` is the list of what `make` can do."""
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"run", "test", "check", "lock", "clean", "help"} <= set(targets)
    assert all(f"make {target} " in said for target in targets)
