"""The scripts of queues, and the parts that they share with those of runs.

What they keep: `queue:<queue>`, run ids by turn; `queue:<queue>:rules`, what each of these needs to begin;
`queue:<queue>:turns`, its clock and each waiting user's last turn and number of runs; `queues`, those where somebody
waits; `bell:<queue>`, which wakes takers; `active:job:<job>` and `active:user:<user>`, the runs that happen; `active`,
the names of these; `takers:<queue>`, nodes by the time until which they are up; `takers`, the queues that have any;
`nodes`, web servers by the same.
"""

from __future__ import annotations

from app.store.note_scripts import NOTE

# Before a script: it may write where the store is full (Redis 7). Only for what is small and ends or stops a run.
ALWAYS = "#!lua flags=allow-oom"
# The same for one that a full store refuses as a whole, before its first write.
WHOLE = "#!lua"
READING = "#!lua flags=no-writes"

ROOM = """
local function fits(name, limit)
  return limit == 0 or redis.call('SCARD', name) < limit
end
local function owner(user)
  return user and cjson.decode(user)[1] or ''
end
local function waits(id)
  return redis.call('HGET', 'run:' .. id, 'status') == 'queued'
end
-- What runs under a rule lack: 'job', 'user', or nothing.
local function lacks(rule)
  local job_limit, user_limit, job, user = string.match(rule, '^(%d+) (%d+) (%S*) (.*)$')
  if not fits('active:job:' .. job, tonumber(job_limit)) then return 'job' end
  if not fits('active:user:' .. user, tonumber(user_limit)) then return 'user' end
  return ''
end
-- The first run in order that has room. Most queues have few rules, so each is looked at once: a thousand runs that
-- all have to wait take a millisecond.
local function first(queue)
  local known, from, size = {}, 0, 20
  while true do
    local ids = redis.call('ZRANGE', 'queue:' .. queue, from, from + size - 1)
    if #ids == 0 then return nil end
    for i, rule in ipairs(redis.call('HMGET', 'queue:' .. queue .. ':rules', unpack(ids))) do
      if rule and known[rule] == nil then known[rule] = lacks(rule) end
      if rule and known[rule] == '' and waits(ids[i]) then return ids[i] end
    end
    from, size = from + size, 500
  end
end
"""

# A user's next turn is one after the last of that user's runs that wait, and after that of the run taken last: so users
# take turns, however many runs each of them has. Within a turn, who came first is first.
PARTS = (
    ROOM
    + NOTE
    + """
local TURN = 1e6
local function ring(queue)
  redis.call('LPUSH', 'bell:' .. queue, '1')
  redis.call('LTRIM', 'bell:' .. queue, 0, 7)
  redis.call('EXPIRE', 'bell:' .. queue, 60)
end
local function ring_all()
  for _, queue in ipairs(redis.call('SMEMBERS', 'queues')) do ring(queue) end
end
local function wait(queue, id, job, user, job_limit, user_limit)
  local turns = 'queue:' .. queue .. ':turns'
  local known = redis.call('HMGET', turns, 'clock', 'turn:' .. user)
  local turn = math.max(tonumber(known[1] or 0), tonumber(known[2] or 0)) + 1
  local number = redis.call('HINCRBY', turns, 'number', 1)
  redis.call('ZADD', 'queue:' .. queue, string.format('%.0f', turn * TURN + number % TURN), id)
  redis.call('HSET', 'queue:' .. queue .. ':rules', id, table.concat({job_limit, user_limit, job, user}, ' '))
  redis.call('HSET', turns, 'turn:' .. user, turn)
  redis.call('HINCRBY', turns, 'waiting:' .. user, 1)
  redis.call('SADD', 'queues', queue)
end
-- Answers the turn that the run had, or false.
local function leave(queue, id, user)
  local name, turns = 'queue:' .. queue, 'queue:' .. queue .. ':turns'
  local score = redis.call('ZSCORE', name, id)
  if not score then return false end
  local turn = math.floor(tonumber(score) / TURN)
  redis.call('ZREM', name, id)
  redis.call('HDEL', name .. ':rules', id)
  if redis.call('EXISTS', name) == 0 then
    redis.call('DEL', turns)
    redis.call('SREM', 'queues', queue)
  elseif redis.call('HINCRBY', turns, 'waiting:' .. user, -1) <= 0 then
    redis.call('HDEL', turns, 'waiting:' .. user, 'turn:' .. user)
  elseif tonumber(redis.call('HGET', turns, 'turn:' .. user)) == turn then
    redis.call('HSET', turns, 'turn:' .. user, turn - 1)
  end
  return turn
end
local function enter(id, job, user)
  for _, name in ipairs({'active:job:' .. job, 'active:user:' .. user}) do
    redis.call('SADD', name, id)
    redis.call('SADD', 'active', name)
  end
end
local function remove(name, id)
  local removed = redis.call('SREM', name, id)
  if redis.call('EXISTS', name) == 0 then redis.call('SREM', 'active', name) end
  return removed
end
"""
)

# ARGV queue, node, claim, lease's milliseconds, claim's seconds, time. Answers the id and the fields of the run that is
# claimed, or nothing. A claim that is asked again answers what it has got, as long as that has not ended.
TAKE = (
    WHOLE
    + PARTS
    + """
local queue, claim = ARGV[1], 'claim:' .. ARGV[3]
local id = redis.call('GET', claim)
-- Unless others have called it lost meanwhile: then somebody may have started it again.
local known = id and redis.call('HMGET', 'run:' .. id, 'status', 'ended') or {}
if known[1] and not known[2] then
  return {id, redis.call('HGETALL', 'run:' .. id)}
end
id = ARGV[7] == '1' and first(queue)
if not id then return false end
local key = 'run:' .. id
local run = redis.call('HMGET', key, 'job', 'user', 'epoch')
local user, now = owner(run[2]), redis.call('TIME')
local turn = leave(queue, id, user)
if redis.call('EXISTS', 'queue:' .. queue) == 1 then
  local turns = 'queue:' .. queue .. ':turns'
  redis.call('HSET', turns, 'clock', math.max(turn, tonumber(redis.call('HGET', turns, 'clock') or 0)))
end
enter(id, run[1], user)
-- By the time, too: a store that has forgotten a claim never gives its epoch to another.
local epoch = math.max(tonumber(run[3]) + 1, now[1] * 1000 + math.floor(now[2] / 1000))
redis.call('HSET', key, 'status', 'running', 'started', ARGV[6], 'node', ARGV[2], 'epoch', string.format('%.0f', epoch))
redis.call('ZADD', 'runs:live', ARGV[6], id)
redis.call('SET', key .. ':lease', '1', 'PX', ARGV[4])
redis.call('SET', claim, id, 'EX', ARGV[5])
note(key, key .. ':log')
return {id, redis.call('HGETALL', key)}
"""
)

NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# ARGV queue, node, note, milliseconds.
PRESENT = (
    ALWAYS
    + NOW
    + """
local takers, notes = 'takers:' .. ARGV[1], 'takers:' .. ARGV[1] .. ':notes'
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', takers, '-inf', now)) do
  redis.call('ZREM', takers, gone)
  redis.call('HDEL', notes, gone)
end
redis.call('ZADD', takers, now + ARGV[4], ARGV[2])
redis.call('HSET', notes, ARGV[2], ARGV[3])
redis.call('SADD', 'takers', ARGV[1])
redis.call('PEXPIRE', takers, ARGV[4])
redis.call('PEXPIRE', notes, ARGV[4])
return 1
"""
)

# ARGV queue, node.
ABSENT = (
    ALWAYS
    + """
redis.call('HDEL', 'takers:' .. ARGV[1] .. ':notes', ARGV[2])
return redis.call('ZREM', 'takers:' .. ARGV[1], ARGV[2])
"""
)

# ARGV queue. Answers node, note, node, note ...
TAKERS = (
    READING
    + NOW
    + """
local found = {}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', 'takers:' .. ARGV[1], '(' .. now, '+inf')) do
  found[#found + 1] = node
  found[#found + 1] = redis.call('HGET', 'takers:' .. ARGV[1] .. ':notes', node) or ''
end
return found
"""
)

# ARGV web server, milliseconds until it counts no more. Answers {{running, runners, workers, web servers},
# {queue, length, queue, length ...}}; a worker of several queues is one.
CENSUS = (
    ALWAYS
    + NOW
    + """
redis.call('ZADD', 'nodes', now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', 'nodes', '-inf', now)
local running, runners, workers, seen, queues = 0, 0, 0, {}, {}
for _, name in ipairs(redis.call('SMEMBERS', 'active')) do
  if string.sub(name, 1, 11) == 'active:job:' then running = running + redis.call('SCARD', name) end
end
for _, queue in ipairs(redis.call('SMEMBERS', 'takers')) do
  local takers = 'takers:' .. queue
  if redis.call('EXISTS', takers) == 0 then
    redis.call('SREM', 'takers', queue)
  elseif queue == 'process' then
    runners = redis.call('ZCOUNT', takers, '(' .. now, '+inf')
  elseif string.sub(queue, 1, 7) == 'celery:' then
    for _, worker in ipairs(redis.call('ZRANGEBYSCORE', takers, '(' .. now, '+inf')) do
      if not seen[worker] then workers = workers + 1 end
      seen[worker] = true
    end
  end
end
for _, queue in ipairs(redis.call('SMEMBERS', 'queues')) do
  queues[#queues + 1] = queue
  queues[#queues + 1] = redis.call('ZCARD', 'queue:' .. queue)
end
return {{running, runners, workers, redis.call('ZCARD', 'nodes')}, queues}
"""
)

# ARGV ids. Answers for each {place, takers, reason}, or 0 where it does not wait.
TURNS = (
    READING
    + NOW
    + ROOM
    + """
local found = {}
for i, id in ipairs(ARGV) do
  local queue = redis.call('HGET', 'run:' .. id, 'queue') or ''
  local place, rule = redis.call('ZRANK', 'queue:' .. queue, id), redis.call('HGET', 'queue:' .. queue .. ':rules', id)
  if place and rule and waits(id) then
    local reason, takers = lacks(rule), redis.call('ZCOUNT', 'takers:' .. queue, '(' .. now, '+inf')
    if takers == 0 then reason = 'takers' end
    found[i] = {place + 1, takers, reason}
  else
    found[i] = 0
  end
end
return found
"""
)

# ARGV milliseconds until it is done again. Takes out of sets and queues what does not belong there, and counts anew who
# waits. Answers how many members went.
TIDY = (
    ALWAYS
    + PARTS
    + """
if not redis.call('SET', 'tidied', '1', 'NX', 'PX', ARGV[1]) then return 0 end
local gone = 0
for _, name in ipairs(redis.call('SMEMBERS', 'active')) do
  for _, id in ipairs(redis.call('SMEMBERS', name)) do
    local status = redis.call('HGET', 'run:' .. id, 'status')
    if status ~= 'running' and status ~= 'stopping' then gone = gone + remove(name, id) end
  end
end
for _, queue in ipairs(redis.call('SMEMBERS', 'queues')) do
  local name, turns, waiting = 'queue:' .. queue, 'queue:' .. queue .. ':turns', {}
  for _, id in ipairs(redis.call('ZRANGE', name, 0, -1)) do
    if waits(id) then
      local rule = redis.call('HGET', name .. ':rules', id)
      if not rule then
        local run = redis.call('HMGET', 'run:' .. id, 'job_limit', 'user_limit', 'job', 'user')
        rule = table.concat({run[1], run[2], run[3], owner(run[4])}, ' ')
        redis.call('HSET', name .. ':rules', id, rule)
      end
      local user = string.match(rule, '^%d+ %d+ %S* (.*)$')
      waiting[user] = (waiting[user] or 0) + 1
    else
      redis.call('ZREM', name, id)
      redis.call('HDEL', name .. ':rules', id)
      gone = gone + 1
    end
  end
  local fields = redis.call('HKEYS', turns)
  for _, field in ipairs(fields) do
    local user = string.match(field, '^%a+:(.*)$')
    if user and not waiting[user] then redis.call('HDEL', turns, field) end
  end
  for user, number in pairs(waiting) do redis.call('HSET', turns, 'waiting:' .. user, number) end
  if redis.call('EXISTS', name) == 0 then
    redis.call('DEL', turns)
    redis.call('SREM', 'queues', queue)
  end
end
if gone > 0 then ring_all() end
return gone
"""
)
