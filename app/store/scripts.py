"""The server-side scripts: each checks and writes in one step, so that two writers can never both win."""

from __future__ import annotations

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
redis.call('HSET', KEYS[1], 'position', string.format('%.0f', position))
return position
"""

# KEYS idempotency key ('' for none), run, log, user's runs, live runs, go; ARGV id, created, key's seconds, then the
# run's fields and values. Answers the id of the run that has this key: the new one's, or that of the first call.
CREATE = """
if KEYS[1] ~= '' then
  local before = redis.call('GET', KEYS[1])
  if before then return before end
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
end
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('XADD', KEYS[3], '0-1', 'k', 'status')
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[2], ARGV[1])
redis.call('SET', KEYS[6], '1')
return ARGV[1]
"""

# KEYS run, log; ARGV statuses that may change, separated by commas with one at each end; then fields and values to set.
# Answers 1 where the change was made.
CHANGE = """
local status = redis.call('HGET', KEYS[1], 'status')
if not status or not string.find(ARGV[1], ',' .. status .. ',', 1, true) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('XADD', KEYS[2], redis.call('HGET', KEYS[1], 'position') .. '-*', 'k', 'status')
return 1
"""

# KEYS run, log, live runs, go; ARGV epoch ('' for any), id, then fields and values to set. Answers 1 for the winner.
FINISH = """
local run = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'ended')
if not run[1] or run[3] or (ARGV[1] ~= '' and run[1] ~= ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('XADD', KEYS[2], run[2] .. '-*', 'k', 'end')
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[4])
return 1
"""
