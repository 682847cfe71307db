"""Masking: no secret reaches the log, however it is cut or encoded."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadRequest
from app.masking import MASK, Masker

SECRET = "NzQ1YmE3-canary/+= token"


def _through(masker: Masker, pieces: list[bytes]) -> bytes:
    rest, out = b"", b""
    for piece in pieces:
        whole = rest + piece
        held = masker.held(whole)
        rest = whole[len(whole) - held :]
        out += masker.mask(whole[: len(whole) - held])
    return out + masker.mask(rest)


@pytest.mark.parametrize("cut", range(len(SECRET) + 1))
def test_a_secret_in_two_pieces_is_masked(cut: int) -> None:
    """Wherever a write ends within the secret, nothing of it comes through."""
    raw = SECRET.encode()
    assert _through(Masker([SECRET]), [b"a " + raw[:cut], raw[cut:] + b" b\n"]) == b"a " + MASK + b" b\n"


def test_a_secret_byte_by_byte_is_masked() -> None:
    """Even single bytes add up."""
    pieces = [bytes([byte]) for byte in b"<" + SECRET.encode() + b">"]
    assert _through(Masker([SECRET]), pieces) == b"<" + MASK + b">"


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz:"])
def test_a_secret_in_base64_is_masked(before: str) -> None:
    """Base64 of the secret alone, or after other text (as in an Authorization header), is masked."""
    coded = base64.b64encode(f"{before}{SECRET}:tail".encode())
    masked = _through(Masker([SECRET]), [b"Basic " + coded + b"\n"])
    head, found, tail = masked.partition(MASK)
    assert found
    # What stands around the mask is the neighbours' and at most a byte of the secret at each end.
    assert len(head) <= len(b"Basic ") + 4 * len(before) // 3 + 3
    assert len(tail) <= len(base64.b64encode(b"?:tail\n")) + 4


def test_a_secret_in_a_url_is_masked() -> None:
    """The URL-encoded forms are masked."""
    masked = _through(Masker([SECRET]), [b"https://x/?t=" + quote(SECRET, safe="").encode() + b"&a=1\n"])
    assert masked == b"https://x/?t=" + MASK + b"&a=1\n"


def test_a_secret_added_later_is_masked_from_then_on() -> None:
    """A token refreshed in mid-run is masked too."""
    masker = Masker()
    assert masker.mask(b"second-token") == b"second-token"
    masker.add(["second-token"])
    assert masker.mask(b"second-token") == MASK


def test_short_secrets_are_refused() -> None:
    """A secret under six characters would turn ordinary text into asterisks."""
    with pytest.raises(BadRequest, match="6 characters"):
        Masker(["12345"])


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_other_output_is_untouched(pieces: list[bytes]) -> None:
    """What holds no secret comes through to the byte, however it is cut."""
    assert _through(Masker(["a-long-secret-that-never-comes"]), pieces) == b"".join(pieces)
