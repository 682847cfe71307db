"""The example job: the user's Webex spaces, and the oldest and newest message of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Annotated, Any

from pydantic import Field

from app.catalog import job
from app.errors import RealtimeError
from app.webexteamsasyncapi import ROOMS_A_PAGE, TokenSource, WebexTeamsAsyncAPI


@job(title="List my spaces")
async def list_spaces(
    running: Callable[[], bool],
    token: TokenSource,
    *,
    limit: Annotated[int, Field(ge=1, description="Most spaces to list.")] = 100,
) -> None:
    """Lists your spaces and counts the messages in each.

    The spaces come first, the latest active at the top; then, for each, how many messages it holds and when the
    oldest and the newest were written. Many messages may take minutes, since Webex limits how fast they can be read.
    """
    try:
        async with WebexTeamsAsyncAPI(token, base_url=token.api_url) as api:
            spaces = await _list_spaces(api, running, limit)
            await _count_messages(api, spaces)
    except RealtimeError as error:
        # A sentence for people is enough here; anything unforeseen goes on, to end the output with its traceback.
        print(f"Execution failed {error}")
        raise SystemExit(1) from None
    except Exception as error:
        print(f"Execution failed {error}")
        raise
    if running():
        print("-------------- Done ----------")


async def _list_spaces(api: WebexTeamsAsyncAPI, running: Callable[[], bool], limit: int) -> list[dict[str, Any]]:
    spaces: list[dict[str, Any]] = []
    async with aclosing(api.rooms(min(limit, ROOMS_A_PAGE))) as rooms:
        async for space in rooms:
            print(f"{space.get('title')}, {space.get('lastActivity')}")
            spaces.append(space)
            if len(spaces) == limit or not running():
                break
    return spaces


async def _count_messages(api: WebexTeamsAsyncAPI, spaces: Iterable[dict[str, Any]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for space in spaces:
                group.create_task(_count(api, space))
    except ExceptionGroup as group_error:
        # The first failure cancelled the other spaces; it is easier to read alone than in a group.
        raise group_error.exceptions[0] from None


async def _count(api: WebexTeamsAsyncAPI, space: dict[str, Any]) -> None:
    stats: dict[str, Any] = {"message_count": 0, "earliest": None, "latest": None}
    async with aclosing(api.messages(str(space.get("id")))) as messages:
        async for message in messages:
            # Webex gives the newest first.
            created = message.get("created")
            stats["message_count"] += 1
            stats["earliest"] = created
            stats["latest"] = stats["latest"] or created
    print(f"space stats for {space.get('title')} done: {stats}")
