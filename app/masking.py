"""Masking: secrets never enter the log, also when they come in pieces, in base64 or URL-encoded."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from app.errors import BadRequest

MASK = b"*****"
SHORTEST = 6
# Bytes from those that output has least of to those that it has most of. Looking for one byte takes a tenth of the time
# that looking for a whole secret takes, and where it is missing the secret is.
RARE = b"ZQXJKVYqzjWGBHUxFPNMLRODkvCTISAEwybgfpmuhdclrsnaioet9876543210-_=+/%. "


def _rarest(form: bytes) -> bytes:
    unlisted = [byte for byte in form if byte not in RARE]
    return bytes([unlisted[0] if unlisted else min(form, key=RARE.index)])


def _forms(secret: str) -> set[bytes]:
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {raw, quote(secret, safe="").encode(), quote(secret).encode(), quote_plus(secret).encode()}
    for before in range(3):
        # In base64 a secret looks different for each of the three places at which it may begin in a group of three
        # bytes; the characters that its neighbours share are left out.
        bits = 8 * (before + len(raw))
        first = (8 * before + 5) // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(b"\0" * before + raw)[first : bits // 6])
    return {form for form in forms if len(form) >= SHORTEST}


class Masker:
    """Replaces secrets in a stream of bytes; `feed` holds back what may be the beginning of one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[bytes, ...] = ()
        self._signs: tuple[tuple[bytes, bytes], ...] = ()
        self._longest = 0
        self._lines = False
        self._adding = threading.Lock()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these from now on.

        Raises: BadRequest for one under 6 characters: masking it would destroy the output.
        """
        new: set[bytes] = set()
        for secret in secrets:
            if len(secret) < SHORTEST:
                raise BadRequest(f"A secret needs at least {SHORTEST} characters to be masked.")
            new |= _forms(secret)
        # Threads of a job that ask for the token as it is renewed add side by side.
        with self._adding:
            forms = new | set(self._forms)
            # The longest first: one form may contain another.
            self._forms = tuple(sorted(forms, key=len, reverse=True))
            self._signs = tuple((_rarest(form), form) for form in self._forms)
            self._longest = max(map(len, forms), default=0)
            self._lines = any(b"\n" in form for form in forms)

    def mask(self, data: bytes) -> bytes:
        """`data` with every whole secret replaced."""
        for sign, form in self._signs:
            if sign in data and form in data:
                data = data.replace(form, MASK)
        return data

    def mask_text(self, text: str) -> str:
        """As mask, for text; what is no text, such as half of a surrogate pair, becomes a question mark."""
        return self.mask(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def held(self, data: bytes) -> int:
        """How many bytes at the end of `data` may be the beginning of a secret."""
        if not self._forms or (data[-1:] == b"\n" and not self._lines):
            return 0
        tail = data[-(self._longest - 1) :] if self._longest > 1 else b""
        if not self._lines:
            tail = tail[tail.rfind(b"\n") + 1 :]
        return max((_overlap(tail, form) for form in self._forms), default=0)


def _overlap(tail: bytes, form: bytes) -> int:
    start = tail.find(form[0], max(0, len(tail) - len(form) + 1))
    while start >= 0:
        if form.startswith(tail[start:]):
            return len(tail) - start
        start = tail.find(form[0], start + 1)
    return 0
