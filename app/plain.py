"""Plain text: what a terminal shows of some text, without its colours and whatever else it is told to do."""

from __future__ import annotations

import re

# A sequence never goes on over a line's end, and one that never ends loses its ESC alone: no text is swallowed.
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]{0,256}+[ -/]{0,16}+[@-~]|[\]PX^_][^\x07\x1b\n]{0,4096}+(?:\x07|\x1b\\)|[ -/]{0,16}+[0-~])?"
)
_LINE_END = re.compile(r"\r+\n")
# The same in one character each: ECMA-48's 8-bit controls.
_ONE_CHARACTER = {
    0x9B: "\x1b[",
    0x9D: "\x1b]",
    0x90: "\x1bP",
    0x98: "\x1bX",
    0x9E: "\x1b^",
    0x9F: "\x1b_",
    0x9C: "\x1b\\",
}
_ONE = re.compile("[\x80-\x9f]")
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"}
_CONTROL_BYTES = bytes(code for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n")
# An unfinished line longer than this is passed on as it is.
HELD_CHARACTERS = 65_536


def is_plain(data: bytes) -> bool:
    """True where `plain` has nothing to do on the text of `data`; False where it may have."""
    return b"\xc2" not in data and len(data.translate(None, _CONTROL_BYTES)) == len(data)


def plain(text: str) -> str:
    r"""`text` without terminal sequences and control characters but tab, LF and CR; CR LF becomes LF."""
    if _ONE.search(text):
        text = text.translate(_ONE_CHARACTER)
    text = _SEQUENCE.sub("", text)
    if not text.isprintable():
        text = text.translate(_CONTROLS)
    return _LINE_END.sub("\n", text)


class PlainText:
    """The same for text that comes in pieces: together they give what the whole would."""

    def __init__(self) -> None:
        self._rest = ""

    def take(self, data: bytes) -> str:
        """The plain text that is certain after these bytes, of which each piece holds whole characters."""
        text = self._rest + data.decode("utf-8", "replace")
        end = text.rfind("\n") + 1
        if not end and len(text) > HELD_CHARACTERS:
            end = len(text)
        self._rest = text[end:]
        return plain(text[:end])

    def end(self) -> str:
        """What is left after the last piece."""
        rest, self._rest = self._rest, ""
        return plain(rest)
