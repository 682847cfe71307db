"""Channels: the newest value of each, and the newest changes of all, in one numbered sequence.

`channels:values` has a field for each channel, `<sequence>:<value as JSON>`. `channels:changes` is a stream whose ids
are `<sequence>-0`; each of its entries names the one before it, so that a reader sees where something is missing.
The sequence is the server's clock in microseconds, moved on where two changes meet: a store that has lost its newest
second in a crash does not use a number twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from app.config import Settings
from app.errors import TooMany
from app.stack import Stack
from app.store.connection import connect, store_errors

VALUES, CHANGES = "channels:values", "channels:changes"
LONGEST_WAIT = 1.0
# So many changes can be had again by who was cut off, and by a node that was away.
MOST_CHANGES = 4096
READ_CHANGES = 512

# KEYS values, changes; ARGV most channels, most changes; then a name and a value for each channel, or '' for none.
# Answers the sequence of each, unchanged where it had this value; or nothing where there would be too many channels.
SET = """
local at, answer, more = 0, {}, 0
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if last then at = tonumber(string.match(last[1], '^%d+')) end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] ~= '' and redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then more = more + 1 end
end
if more > 0 and redis.call('HLEN', KEYS[1]) + more > tonumber(ARGV[1]) then return {} end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
for i = 3, #ARGV, 2 do
  local name, value = ARGV[i], ARGV[i + 1]
  local before = redis.call('HGET', KEYS[1], name)
  local number, old = string.match(before or '', '^(%d+):(.*)$')
  if (old or '') == value then
    answer[#answer + 1] = number or '0'
  else
    local previous = string.format('%.0f', at)
    at = math.max(at + 1, now)
    local id = string.format('%.0f', at)
    if value == '' then
      redis.call('HDEL', KEYS[1], name)
    else
      redis.call('HSET', KEYS[1], name, id .. ':' .. value)
    end
    redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[2], id .. '-0', 'n', name, 'v', value, 'p', previous)
    answer[#answer + 1] = id
  end
end
return answer
"""


class Change(msgspec.Struct, frozen=True):
    """A channel's value (JSON; "": it was deleted) since a moment of the sequence; `previous` is the one before it."""

    name: str
    value: str
    sequence: int
    previous: int = 0

    @property
    def time(self) -> float:
        """When it was set, in seconds since the epoch."""
        return self.sequence / 1e6


class ChannelStore:
    """Channels in Redis; `most` of them there may be. Raises StoreUnavailable, and ConfigError as it is made."""

    def __init__(self, settings: Settings, stack: Stack, client: Any) -> None:
        self._client, self._most = client, settings.channels
        # A reply may take as long as the wait that was asked for.
        self._waiting = connect(settings, stack, timeout=settings.redis_timeout + LONGEST_WAIT, connections=1)
        self._set = client.register_script(SET)

    def set(self, values: Mapping[str, str]) -> dict[str, int]:
        """Set several channels at one moment, each to a JSON text ("": delete it); their sequence numbers.

        Raises: TooMany where there would be more channels than there may be: then none is set.
        """
        pairs = [each for pair in values.items() for each in pair]
        with store_errors():
            numbers = self._set(keys=[VALUES, CHANGES], args=[self._most, MOST_CHANGES, *pairs])
        if len(numbers) < len(values):
            raise TooMany(f"There are {self._most} channels at most. Please delete some that nobody needs.")
        return {name: int(number) for name, number in zip(values, numbers, strict=True)}

    def all(self) -> list[Change]:
        """The value of every channel, by name."""
        with store_errors():
            found = self._client.hgetall(VALUES)
        return sorted((_value(name.decode(), text) for name, text in found.items()), key=lambda each: each.name)

    def read(self, names: Sequence[str]) -> tuple[int, dict[str, Change]]:
        """What some channels hold at one moment, and that moment; those that do not exist are left out."""
        with store_errors():
            pipeline = self._client.pipeline()
            pipeline.hmget(VALUES, names)
            pipeline.xrevrange(CHANGES, count=1)
            texts, last = pipeline.execute()
        found = {name: _value(name, text) for name, text in zip(names, texts, strict=True) if text is not None}
        return _sequence(last), found

    def end(self) -> int:
        """The sequence number of the newest change."""
        with store_errors():
            return _sequence(self._client.xrevrange(CHANGES, count=1))

    def since(self, sequence: int) -> tuple[int, list[Change]] | None:
        """All changes after a moment, and the moment up to which these are all; None where some are kept no more."""
        with store_errors():
            pipeline = self._client.pipeline()
            pipeline.xrange(CHANGES, min=f"({sequence}-0")
            pipeline.xrevrange(CHANGES, count=1)
            entries, last = pipeline.execute()
        changes = _changes(entries)
        # Of an empty store, or one that has forgotten its newest changes, nobody knows what was there.
        known = changes[0].previous == sequence if changes else _sequence(last) == sequence
        return (_sequence(last), changes) if known else None

    def past(self, seconds: float) -> list[Change]:
        """The changes of the last so many seconds, as far as they are kept."""
        with store_errors():
            return _changes(self._client.xrange(CHANGES, min=f"{int((time.time() - seconds) * 1e6)}-0"))

    def wait(self, after: int, seconds: float) -> list[Change]:
        """The changes after a moment, in order; waits for `seconds` (1 at most) where there are none."""
        with store_errors():
            block = int(seconds * 1000)
            answer = self._waiting.xread({CHANGES: f"{after}-0"}, count=READ_CHANGES, block=block)
        return _changes(answer[0][1]) if answer else []


def _value(name: str, text: bytes) -> Change:
    number, _, value = text.decode().partition(":")
    return Change(name, value, int(number))


def _changes(entries: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[Change]:
    return [
        Change(fields[b"n"].decode(), fields[b"v"].decode(), int(entry_id.split(b"-")[0]), int(fields[b"p"]))
        for entry_id, fields in entries
    ]


def _sequence(last: Sequence[tuple[bytes, Any]]) -> int:
    return int(last[0][0].split(b"-")[0]) if last else 0
