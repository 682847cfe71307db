"""The page's libraries and modules: locked, addressed by content, checked by types."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.assets import Assets

ROOT = Path(__file__).parents[2]
SCRIPT = "scripts/vendor.py"


def address(endpoint: str, **values: str) -> str:
    """Addresses as Flask would make them."""
    return f"/{endpoint}/" + "/".join(values.values())


def test_the_lock_names_no_registry() -> None:
    """Every package is locked by its hash, none by an address."""
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert len(packages) > 5
    for name, package in packages.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")


def test_a_files_address_changes_with_its_content(tmp_path: Path) -> None:
    """A changed module gets a new address, an unchanged one keeps its own; import map and page agree."""
    (tmp_path / "one.js").write_text("1")
    (tmp_path / "two.js").write_text("2")
    assets = Assets(tmp_path, tmp_path)
    before = assets.imports(address)["imports"]
    (tmp_path / "one.js").write_text("changed")
    after = assets.imports(address)["imports"]
    assert before["/static/one.js"] != after["/static/one.js"] == f"/static/one.js/{assets.version('one.js')}"
    assert before["/static/two.js"] == after["/static/two.js"]


def test_without_libraries_pages_still_come(tmp_path: Path) -> None:
    """Where vendor/ was not filled there is no style sheet to name, and no error."""
    assert Assets(tmp_path, tmp_path).style("@xterm/xterm", address) is None


@pytest.mark.timeout(600)
def test_the_modules_pass_the_type_checker() -> None:
    """`tsc --strict` finds nothing in the page's modules."""
    done = subprocess.run([sys.executable, SCRIPT, "types"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def copy_of_the_script(folder: Path) -> Path:
    """A checkout with what the script needs."""
    (folder / "scripts").mkdir()
    for name in (SCRIPT, "package.json", "package-lock.json"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.mark.timeout(600)
def test_libraries_are_copied_to_versioned_folders(tmp_path: Path) -> None:
    """Each library has its version in its address and its licence beside it; a second run changes nothing."""
    folder = copy_of_the_script(tmp_path)
    subprocess.run([sys.executable, SCRIPT], cwd=folder, check=True)
    assets = Assets(ROOT / "app" / "static", folder / "vendor")
    imports = assets.imports(address)["imports"]
    versions = json.loads((folder / "package-lock.json").read_text())["packages"]
    for package in ("@xterm/xterm", "@xterm/addon-fit", "socket.io-client"):
        path = imports[package].removeprefix("/views.vendor/")
        assert versions[f"node_modules/{package}"]["version"] in path
        assert (folder / "vendor" / path).is_file()
        assert (folder / "vendor" / path).with_name("LICENSE").is_file()
    changed = (folder / "vendor").stat().st_mtime_ns
    subprocess.run([sys.executable, SCRIPT], cwd=folder, check=True)
    assert (folder / "vendor").stat().st_mtime_ns == changed


def test_what_a_library_imports_is_there_too() -> None:
    """Every module that a library, or one of ours, imports by name is in the import map."""
    imports = Assets(ROOT / "app" / "static", ROOT / "vendor").imports(address)["imports"]
    files = [ROOT / path.removeprefix("/views.") for path in imports.values() if path.startswith("/views.vendor/")]
    assert len(files) > 10
    for file in [*files, *(ROOT / "app" / "static").glob("*.js")]:
        named = re.findall(r"""^(?:import|export)[^'"]* from ['"]([^./'"][^'"]*)['"]""", file.read_text(), re.MULTILINE)
        assert set(named) <= set(imports), file


@pytest.mark.parametrize(("arguments", "message"), [([], "npm is missing"), (["wrong"], "unknown argument")])
def test_what_is_missing_is_said_in_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    """Without npm, or with a wrong argument: one line that says what to do, and a failure."""
    folder = copy_of_the_script(tmp_path)
    done = subprocess.run(
        # -S: without site-packages the Python package that brings npm is not found either
        [sys.executable, "-S", SCRIPT, *arguments],
        cwd=folder,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
