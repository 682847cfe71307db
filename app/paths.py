"""Which addresses a visitor may be sent on to after a login: paths of this server alone."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

LONGEST_PATH = 2000
DECODINGS = 3
# Pages of the login itself would send the visitor round in circles, or out again.
NO_TARGETS = frozenset({"login", "redirect", "logout"})


def local_path(address: object, default: str = "/") -> str:
    """`address` if it is a path on this server, with its query; else `default`.

    Whatever a browser or a proxy could read as another host is refused: `//host`, backslashes, control characters,
    dot segments, and all of these behind percent signs.
    """
    if not isinstance(address, str) or len(address) > LONGEST_PATH or not _clean(address):
        return default
    try:
        parts = urlsplit(address)
        paths = _decoded(parts.path)
    except ValueError:
        return default
    if parts.scheme or parts.netloc or not all(map(_plain, paths)):
        return default
    if paths[-1].strip("/").lower() in NO_TARGETS:
        return default
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _decoded(path: str) -> list[str]:
    paths = [path]
    for _ in range(DECODINGS):
        paths.append(unquote(paths[-1], errors="strict"))
    return paths


def _clean(text: str) -> bool:
    # urlsplit reads `///host` as a path, browsers read it as a host.
    return not text.startswith("//") and "\\" not in text and " " not in text and text.isprintable()


def _plain(path: str) -> bool:
    segments = path.split("/")
    return (
        path.startswith("/")
        and "\\" not in path
        and path.isprintable()
        and "" not in segments[1:-1]
        and not {".", ".."} & set(segments)
    )
