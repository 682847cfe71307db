"""The server-side scripts: each checks and writes in one step, so that two writers can never both win."""

from __future__ import annotations

# Before a script: it may write where the store is full (Redis 7). Only for what is small and ends or stops a run.
ALWAYS = "#!lua flags=allow-oom"

# KEYS run, log; ARGV epoch, expected position, then (stream, time, line, data) for each record.
# Answers the position now, or -1 where the run has ended or belongs to another epoch. Another position than the end of
# the records means that nothing was written: an earlier, unanswered call did it, or the store has lost a tail.
APPEND = """
local run = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'ended')
if run[1] ~= ARGV[1] or run[3] then return -1 end
local position = tonumber(run[2])
if position ~= tonumber(ARGV[2]) then return position end
for i = 3, #ARGV, 4 do
  position = position + #ARGV[i + 3]
  redis.call('XADD', KEYS[2], string.format('%.0f-0', position),
             's', ARGV[i], 't', ARGV[i + 1], 'n', ARGV[i + 2], 'd', ARGV[i + 3])
end
redis.call('HSET', KEYS[1], 'position', string.format('%.0f', position))
return position
"""

# KEYS run, log; ARGV epoch, expected position, bytes left out. Answers as APPEND.
OMIT = """
local run = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'ended')
if run[1] ~= ARGV[1] or run[3] then return -1 end
local position = tonumber(run[2])
if position ~= tonumber(ARGV[2]) then return position end
position = position + tonumber(ARGV[3])
redis.call('XADD', KEYS[2], string.format('%.0f-0', position), 'k', 'omitted', 'o', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'omitted', ARGV[3])
redis.call('HSET', KEYS[1], 'position', string.format('%.0f', position))
return position
"""

# KEYS idempotency key ('' for none), run, log, user's runs, live runs, go, lease; ARGV id, created, key's seconds,
# lease's milliseconds, then the run's fields and values. Answers the id of the run that has this key: the new one's, or
# that of the first call. Called again after an unanswered call it changes nothing.
CREATE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return ARGV[1] end
if KEYS[1] ~= '' then
  local before = redis.call('GET', KEYS[1])
  -- A run that was deleted meanwhile is no answer.
  if before and redis.call('EXISTS', 'run:' .. before) == 1 then return before end
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
end
redis.call('HSET', KEYS[2], unpack(ARGV, 5))
redis.call('XADD', KEYS[3], '0-1', 'k', 'status')
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[2], ARGV[1])
redis.call('SET', KEYS[6], '1')
redis.call('SET', KEYS[7], '1', 'PX', ARGV[4])
return ARGV[1]
"""

# KEYS run, log; ARGV statuses that may change, separated by commas with one at each end; then fields and values to set.
# Answers 1 where the change was made.
CHANGE = """
local status = redis.call('HGET', KEYS[1], 'status')
if not status or not string.find(ARGV[1], ',' .. status .. ',', 1, true) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
local position = redis.call('HGET', KEYS[1], 'position')
-- A note says no more than that there is news: a newer one takes its place, so that progress without output is bounded.
local last = redis.call('XREVRANGE', KEYS[2], '+', position .. '-1', 'COUNT', 1)[1]
if last then redis.call('XDEL', KEYS[2], last[1]) end
redis.call('XADD', KEYS[2], position .. '-*', 'k', 'status')
return 1
"""

# KEYS run, log, live runs, go, lease; ARGV epoch ('' for any), id, then fields and values to set. Answers 1 for the
# winner.
FINISH = """
local run = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'ended')
if not run[1] or run[3] or (ARGV[1] ~= '' and run[1] ~= ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('XADD', KEYS[2], run[2] .. '-*', 'k', 'end')
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[4], KEYS[5])
-- For app/retention.py: by its end, what is to be archived, and what is to be deleted one day.
local ended = redis.call('HGET', KEYS[1], 'ended')
redis.call('ZADD', 'runs:ended', ended, ARGV[2])
redis.call('ZADD', 'runs:cooling', ended, ARGV[2])
return 1
"""

# As FINISH, where the run has no lease now.
LOSE = (
    """
if redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
"""
    + FINISH
)

# KEYS run, lease; ARGV epoch, milliseconds. A lease ran out, but its holder lives. Answers 0 where the run is over, or
# belongs to another epoch.
RESTORE = """
local run = redis.call('HMGET', KEYS[1], 'epoch', 'ended')
if run[1] ~= ARGV[1] or run[2] then return 0 end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return 1
"""
