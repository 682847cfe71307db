"""The part of scripts that tells a change of a run in its log, for all who follow that."""

from __future__ import annotations

# What changes of a run while it is watched, which notes tell, so that nobody need ask.
CHANGING = (
    *("status", "started", "ended", "exit_code", "message", "progress", "position", "epoch", "node", "omitted"),
    *("stage", "signal", "asks"),
)

NOTE = f"""
local CHANGING = {{{", ".join(f"'{name}'" for name in CHANGING)}}}
local function news(run)
  local told = {{}}
  for i, value in ipairs(redis.call('HMGET', run, unpack(CHANGING))) do
    if value then
      told[#told + 1] = CHANGING[i]
      told[#told + 1] = value
    end
  end
  return told
end
local function note(run, log)
  local position = redis.call('HGET', run, 'position')
  -- A newer note takes the place of the one before, so that progress alone is bounded.
  local last = redis.call('XREVRANGE', log, '+', position .. '-1', 'COUNT', 1)[1]
  if last then redis.call('XDEL', log, last[1]) end
  redis.call('XADD', log, position .. '-*', 'k', 'status', unpack(news(run)))
end
"""
