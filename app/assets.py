"""The page's files: addresses that change with the content, and the import map that tells modules of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

Address = Callable[..., str]


class Assets:
    """The files of `static` (ours) and of `vendor` (made by `scripts/vendor.py`)."""

    def __init__(self, static: Path, vendor: Path) -> None:
        self.static, self.vendor = static, vendor

    def version(self, name: str) -> str:
        """A short hash of one of our files: its address stays as long as its content, on every node."""
        file = self.static / name
        return _hash(file, file.stat().st_mtime_ns)

    def imports(self, address: Address) -> dict[str, dict[str, str]]:
        """The import map: libraries by name, our modules by their plain address, each to its versioned address.

        `address` is Flask's `url_for`.
        """
        libraries = {name: address("views.vendor", path=path) for name, path in self._manifest("imports").items()}
        ours = {
            address("static", filename=file.name): address("static", filename=file.name, v=self.version(file.name))
            for file in sorted(self.static.glob("*.js"))
        }
        return {"imports": {**libraries, **ours}}

    def style(self, package: str, address: Address) -> str | None:
        """The address of a library's style sheet; None where `vendor` has not been filled."""
        path = self._manifest("styles").get(package)
        return address("views.vendor", path=path) if path else None

    def script(self, package: str, address: Address) -> str | None:
        """The address of a library that is a plain script, no module; None where `vendor` has not been filled."""
        path = self._manifest("scripts").get(package)
        return address("views.vendor", path=path) if path else None

    def _manifest(self, part: str) -> dict[str, str]:
        file = self.vendor / "manifest.json"
        try:
            found: Any = _read(file, file.stat().st_mtime_ns).get(part, {})
        except FileNotFoundError:
            return {}
        return dict(found)


@lru_cache(maxsize=256)
def _hash(file: Path, _changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
