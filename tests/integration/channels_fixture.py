"""Channels of a program alone, and their streams as the seed has them, for the tests of channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from app.store.channels import CHANGES, VALUES
from tests.api import Api, Stream, make_token
from tests.serving import Server

JOINED = "/stream?heartbeat=1"


@pytest.fixture
def no_channels(redis_client: Any) -> None:
    """The shared server's channels are this test's alone."""
    redis_client.delete(VALUES, CHANGES)


@pytest.fixture
def channels_api(no_channels: None, server: Server, person: requests.Session) -> Api:
    """A program with a token; nothing of it is left in its cookies from another test."""
    # In this order: whoever empties the store ends the logins before.
    return Api(server.url, make_token(server.url, person))


@pytest.fixture
def letters(channels_api: Api) -> Api:
    """Channels A to Z, which are zero."""
    set_(channels_api, **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0))
    return channels_api


def set_(api: Api, **values: Any) -> list[dict[str, Any]]:
    """Set channels; what the answer has of each."""
    found: list[dict[str, Any]] = api.get("/channels", method="PATCH", json={"values": values})["channels"]
    return found


def subscribe(api: Api, *names: str) -> requests.Response:
    """POST set_stream."""
    return api.ask("/set_stream", "POST", json={"Stream": list(names)})


def begun(stream: Stream) -> Iterator[dict[str, Any]]:
    """A stream's objects, the first of which has been read."""
    found = stream.objects()
    assert next(found)
    return found
