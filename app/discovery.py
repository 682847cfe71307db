"""Finding and loading the files with jobs: a broken one harms nothing else, and a saved one is read again."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import itertools
import os
import stat
import sys
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Protocol

from app.errors import ConfigError
from app.texts import printable, text_of

_PACKAGE = "_realtime_jobs_"
_KEPT = 8  # versions of a folder whose modules runs in progress may still import from
_LONGEST = 300  # characters of a message
_numbers = itertools.count(1)
_Stamp = dict[str, tuple[int, ...] | None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file after the attempt to load it; `label` is how people know it; `error` says why `module` is None."""

    label: str
    name: str
    module: ModuleType | None
    error: str = ""


class Source(Protocol):
    """A place with jobs."""

    def load(self) -> list[Loaded]:
        """Load everything there, again if it was loaded before."""

    def changed(self) -> bool:
        """True where a file was added, saved or removed since `load`; costs a stat per file."""


class _Loader(importlib.machinery.SourceFileLoader):
    """Reads the source itself: cached bytecode is told apart by whole seconds, and a file may be saved twice in one."""

    def get_code(self, fullname: str) -> CodeType:
        """As InspectLoader.get_code."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Finder(MetaPathFinder):
    """Finds the modules of job folders, and of job modules that are loaded again, for the loader above."""

    def __init__(self) -> None:
        self.again: set[str] = set()

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """As MetaPathFinder.find_spec."""
        if not fullname.startswith(_PACKAGE) and not any(_is_in(fullname, name) for name in self.again):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(fullname, spec.origin)
        return spec


_finder = _Finder()


class Folder:
    """Each `*.py` of a folder whose name starts with a letter or digit; they reach one another by `from .name import`.

    The folder is a package of a name of its own, new at each load: a run in progress keeps the modules it started with.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._number = next(_numbers)
        self._packages: deque[str] = deque()
        self._stamp: _Stamp = {}

    def load(self) -> list[Loaded]:
        """As Source.load."""
        before = self._stamp = self._now()
        package = ModuleType(f"{_PACKAGE}{self._number}_{next(_numbers)}")
        package.__path__ = [str(self._path)]
        sys.modules[package.__name__] = package
        self._packages.append(package.__name__)
        if len(self._packages) > _KEPT:
            _forget(self._packages.popleft())
        importlib.invalidate_caches()
        try:
            files = sorted(_files(self._path))
        except OSError as error:
            return [Loaded(self._path.name, self._path.name, None, f"{self._path.name}: {error.strerror}")]
        found = [self._load(package.__name__, file) for file in files if file.name[0] not in "_."]
        self._stamp = _since(before, self._now())
        return found

    def _load(self, package: str, file: Path) -> Loaded:
        label = _label(file)
        problem = "a file's name may have no dot before `.py`" if "." in file.stem else _trouble(file)
        if problem:
            return Loaded(label, file.stem, None, f"{label}: {problem}")
        return _import(f"{package}.{file.stem}", label, file.stem, self._path)

    def changed(self) -> bool:
        """As Source.changed."""
        return self._now() != self._stamp

    def _now(self) -> _Stamp:
        with suppress(OSError):
            files = {str(file) for file in _files(self._path)}
            return {file: _stat(file) for file in files | set(_sources(self._packages[-1] if self._packages else ""))}
        return {}


class Module:
    """A module or package that Python imports by its dotted name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._again = False
        self._stamp: _Stamp = {}

    def load(self) -> list[Loaded]:
        """As Source.load; where a new version fails, the rest of the program keeps the old one."""
        before = self._now()
        kept = _forget(self._name) if self._again else {}
        if self._again:
            _finder.again.add(self._name)
            importlib.invalidate_caches()
        origin = self._origin()
        folder = Path(origin).parent if origin else None
        loaded = _import(self._name, self._name, self._name.rpartition(".")[2], folder)
        if loaded.module is None:
            sys.modules.update(kept)
        self._again = True
        self._stamp = _since(before, self._now())
        return [loaded]

    def changed(self) -> bool:
        """As Source.changed."""
        return self._now() != self._stamp

    def _now(self) -> _Stamp:
        origin = self._origin()
        return {file: _stat(file) for file in {*_sources(self._name), *([origin] if origin else [])}}

    def _origin(self) -> str | None:
        with suppress(Exception):  # a broken package above it: watched by nobody, a restart heals it
            spec = importlib.util.find_spec(self._name)
            return spec.origin if spec else None
        return None


def find_sources(names: tuple[str, ...], optional: frozenset[str]) -> list[Source]:
    """The folders and modules called `names`; those in `optional` may be missing.

    Raises: ConfigError with a line that names the setting.
    """
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    found: dict[str, Source] = {}
    for name in names:
        path = Path(name)
        if os.path.isdir(path):  # where Path's method raises for names of an impossible length
            _check_folder(name, path)
            found.setdefault(str(path.resolve()), Folder(path))
        elif _is_module(name):
            found.setdefault(name, Module(name))
        elif name not in optional:
            raise ConfigError(f"JOBS: there is no folder and no module called `{printable(name, _LONGEST)}`")
    return list(found.values())


def _check_folder(name: str, path: Path) -> None:
    try:
        next(path.iterdir(), None)
    except OSError as error:
        raise ConfigError(f"JOBS: the folder `{name}` cannot be read: {error.strerror}") from None


def _is_module(name: str) -> bool:
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - a package above it is there but broken: loading it will say how
        return True
    return spec is not None and spec.origin is not None


def _since(before: _Stamp, after: _Stamp) -> _Stamp:
    """What was known before the load, so that a file saved during it counts as changed."""
    return {file: before.get(file, stamp) for file, stamp in after.items()}


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


_known_sources: dict[str, tuple[int, list[str]]] = {}


def _sources(package: str) -> list[str]:
    """The files of a package's modules that are loaded; looked for again when there are more or fewer modules."""
    count, known = _known_sources.get(package, (0, []))
    if count != len(sys.modules):
        modules = [module for name, module in list(sys.modules.items()) if _is_in(name, package)]
        known = [file for module in modules if isinstance(file := getattr(module, "__file__", None), str)]
        _known_sources[package] = (len(sys.modules), known)
    return known


def _forget(package: str) -> dict[str, ModuleType]:
    # A copy: jobs that run meanwhile import.
    names = [name for name in list(sys.modules) if _is_in(name, package)]
    _known_sources.pop(package, None)
    return {name: sys.modules.pop(name) for name in names}


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix == ".py" and not os.path.isdir(file)]


def _stat(file: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _trouble(file: Path) -> str:
    try:
        regular = stat.S_ISREG(file.stat().st_mode)
        if regular:
            file.read_bytes()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return "" if regular else "it is not a regular file"


def _label(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _import(name: str, label: str, short: str, folder: Path | None) -> Loaded:
    kept = sys.stdout, sys.stderr
    try:
        return Loaded(label, short, importlib.import_module(name))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - sys.exit at import too is this file's trouble alone
        return Loaded(label, short, None, _explain(error, label, folder))
    finally:
        sys.stdout, sys.stderr = kept


def _explain(error: BaseException, label: str, folder: Path | None) -> str:
    """Where and why a job's file failed."""
    place, message = label, text_of(error)
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_absolute():
        place, message = f"{_label(Path(error.filename))}, line {error.lineno or 1}", error.msg
    else:
        frames = [(Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)]
        own = [(file, line) for file, line in frames if file.parent == folder]
        if own:
            place = f"{_label(own[-1][0])}, line {own[-1][1]}"
    if isinstance(error, ModuleNotFoundError) and folder and (folder / f"{error.name}.py").exists():
        message += f"; for a file beside this one write `from .{error.name} import ...`"
    kind = type(error).__name__
    return f"{place}: {kind}" if message == kind else f"{place}: {kind}: {printable(message, _LONGEST)}"
