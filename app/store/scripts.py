"""The server-side scripts: each checks and writes in one step, so that two writers can never both win."""

from __future__ import annotations

from app.store.note_scripts import NOTE
from app.store.queue_scripts import ALWAYS, PARTS, WHOLE

__all__ = ["ALWAYS", "APPEND", "CHANGE", "CREATE", "FINISH", "LOSE", "OMIT", "RESTORE", "STOP"]

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

# KEYS idempotency key ('' for none), run, log, user's runs, live runs, go, mercy, lease; ARGV id, created, key's
# seconds, lease's milliseconds, queue, job, user, then as numbers: 1 where the run may begin at once, 1 where its node
# keeps it while it waits, most runs of the job, most runs of the user (0: any number), most starts of the user in a
# minute, most waiting runs of the user, and of all in the queue; then the run's fields and values as it begins.
# Answers {id, status, epoch} of the new run; {id} of the run that has this key; or {'', what there is too many of,
# number}. A run without a queue is stored as it is. Called again after an unanswered call it changes nothing.
CREATE = (
    WHOLE
    + PARTS
    + """
local id, queue, job, user = ARGV[1], ARGV[5], ARGV[6], ARGV[7]
local function stored() return {id, unpack(redis.call('HMGET', KEYS[2], 'status', 'epoch'))} end
if redis.call('EXISTS', KEYS[2]) == 1 then return stored() end
if KEYS[1] ~= '' then
  local before = redis.call('GET', KEYS[1])
  -- A run that was deleted meanwhile is no answer.
  if before and redis.call('EXISTS', 'run:' .. before) == 1 then return {before} end
end
local begins = true
if queue ~= '' then
  local starts = 'starts:' .. user
  local count = tonumber(redis.call('GET', starts) or 0)
  if count >= tonumber(ARGV[12]) then return {'', 'starts', redis.call('TTL', starts)} end
  begins = ARGV[8] == '1' and not first(queue)
    and fits('active:job:' .. job, tonumber(ARGV[10])) and fits('active:user:' .. user, tonumber(ARGV[11]))
  if not begins then
    local mine = tonumber(redis.call('HGET', 'queue:' .. queue .. ':turns', 'waiting:' .. user) or 0)
    if mine >= tonumber(ARGV[13]) then return {'', 'waiting', mine} end
    local all = redis.call('ZCARD', 'queue:' .. queue)
    if all >= tonumber(ARGV[14]) then return {'', 'queue', all} end
  end
  redis.call('INCR', starts)
  if count == 0 then redis.call('EXPIRE', starts, 60) end
end
if KEYS[1] ~= '' then redis.call('SET', KEYS[1], id, 'EX', ARGV[3]) end
redis.call('HSET', KEYS[2], unpack(ARGV, 15))
redis.call('XADD', KEYS[3], '0-1', 'k', 'status')
redis.call('ZADD', KEYS[4], ARGV[2], id)
redis.call('MSET', KEYS[6], '1', KEYS[7], '1')
if begins or ARGV[9] == '1' then
  redis.call('ZADD', KEYS[5], ARGV[2], id)
  redis.call('SET', KEYS[8], '1', 'PX', ARGV[4])
end
if not begins then
  redis.call('HSET', KEYS[2], 'status', 'queued', 'started', '', 'epoch', 0)
  wait(queue, id, job, user, ARGV[10], ARGV[11])
  ring(queue)
elseif queue ~= '' then
  enter(id, job, user)
end
return stored()
"""
)

# KEYS run, log; ARGV statuses that may change, separated by commas with one at each end; then fields and values to set.
# Answers 1 where the change was made.
CHANGE = (
    NOTE
    + """
local status = redis.call('HGET', KEYS[1], 'status')
if not status or not string.find(ARGV[1], ',' .. status .. ',', 1, true) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
note(KEYS[1], KEYS[2])
return 1
"""
)

END = (
    PARTS
    + """
-- KEYS run, log, live runs, go, mercy, lease. Its fields and values are ARGV from `from` on.
local function finish(epoch, id, from)
  local run = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'ended', 'queue', 'job', 'user')
  if not run[1] or run[3] or (epoch ~= '' and run[1] ~= epoch) then return 0 end
  redis.call('HSET', KEYS[1], unpack(ARGV, from))
  redis.call('XADD', KEYS[2], run[2] .. '-*', 'k', 'end', unpack(news(KEYS[1])))
  redis.call('ZREM', KEYS[3], id)
  -- With what was typed for it and never read.
  redis.call('DEL', KEYS[4], KEYS[5], KEYS[6], KEYS[1] .. ':typed')
  -- For app/retention.py: by its end, what is to be archived, and what is to be deleted one day.
  local ended = redis.call('HGET', KEYS[1], 'ended')
  redis.call('ZADD', 'runs:ended', ended, id)
  redis.call('ZADD', 'runs:cooling', ended, id)
  if run[4] and run[4] ~= '' then
    local user = owner(run[6])
    leave(run[4], id, user)
    remove('active:job:' .. run[5], id)
    remove('active:user:' .. user, id)
    ring_all()
  end
  return 1
end
"""
)

# KEYS as END; ARGV epoch ('' for any), id, where its output has to end ('' for anywhere), then fields and values.
# Answers 1 for the winner, -1 where the output ends elsewhere.
FINISH = (
    END
    + """
local run = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'ended')
if ARGV[3] ~= '' and run[1] == ARGV[1] and not run[3] and run[2] ~= ARGV[3] then return -1 end
return finish(ARGV[1], ARGV[2], 4)
"""
)

# As FINISH, where the run has no lease now, and wherever its output ends.
LOSE = (
    END
    + """
if redis.call('EXISTS', KEYS[6]) == 1 then return 0 end
return finish(ARGV[1], ARGV[2], 4)
"""
)

# KEYS as END, and what admits the caller, or nothing; ARGV id, 1 where it is to be killed, the seconds that the latter
# lasts from now on, then fields and values of a run that is stopped before it began.
# Whoever supervises the run sees that its go, or its mercy too, is no more, and is told by the channel `stops` at once.
# Answers -1 where the caller is not admitted, else what changed as a note tells it: nothing where nothing did.
STOP = (
    END
    + """
if KEYS[7] and redis.call('EXPIRE', KEYS[7], ARGV[3]) == 0 then return -1 end
local run = redis.call('HMGET', KEYS[1], 'status', 'queue', 'ended')
if not run[1] or run[3] then return {} end
if run[1] == 'queued' and run[2] and run[2] ~= '' then
  return finish('', ARGV[1], 4) == 1 and news(KEYS[1]) or {}
end
redis.call('DEL', KEYS[4])
if ARGV[2] == '1' then redis.call('DEL', KEYS[5]) end
redis.call('PUBLISH', 'stops', ARGV[1] .. (ARGV[2] == '1' and ' kill' or ' stop'))
if run[1] == 'stopping' then return {} end
redis.call('HSET', KEYS[1], 'status', 'stopping')
note(KEYS[1], KEYS[2])
return news(KEYS[1])
"""
)

# KEYS run, lease; ARGV epoch, milliseconds. A lease ran out, but its holder lives. Answers 0 where the run is over, or
# belongs to another epoch.
RESTORE = """
local run = redis.call('HMGET', KEYS[1], 'epoch', 'ended')
-- A run that waits has no epoch: nobody else can have it.
if not run[1] or run[2] or (ARGV[1] ~= '0' and run[1] ~= ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return 1
"""
