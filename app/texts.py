"""Short, harmless texts made of what may be long, hostile or broken."""

from __future__ import annotations


def printable(text: str, longest: int) -> str:
    """At most `longest` characters of `text` and then dots, in one line that no terminal or log obeys."""
    short = text if len(text) <= longest else f"{text[:longest]}..."
    return "".join(character if character.isprintable() else "?" for character in " ".join(short.split()))


def text_of(error: BaseException) -> str:
    """An exception's message, or its class's name where there is none."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the class is a job author's own and may do anything
        text = ""
    return text or type(error).__name__
