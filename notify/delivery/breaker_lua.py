"""The breaker's steps, each done by Redis at once. Times are milliseconds of the workers' clocks.

The fields of one provider: `failures` (how often it opened in a row; 0 when it is closed), `shut` (until when), `span`
(how long that was meant to be), `probe` (until when its probe is out), `held` (until when it asked to be left alone),
`hold` (why), `since`, `good` and `bad` (the window), `reason` and `at` (of the last trouble).
"""

from __future__ import annotations

_READ = """
local function read(key, now)
  local f = redis.call('HMGET', key, 'failures', 'shut', 'span', 'probe', 'held', 'hold', 'reason')
  local failures, shut, span = tonumber(f[1] or 0), tonumber(f[2] or 0), tonumber(f[3] or 0)
  if failures > 0 and shut - now > span then -- written by a clock that runs ahead
    shut = now + span
    redis.call('HSET', key, 'shut', shut)
  end
  return failures, shut, tonumber(f[4] or 0), tonumber(f[5] or 0), f[6] or '', f[7] or ''
end

local function stands(key, now)
  local failures, shut, probe, held, hold, reason = read(key, now)
  if failures > 0 and shut > now then return 'open', shut, reason end
  if held > now and held - now <= 900000 then return 'held', held, hold end
  if failures > 0 and probe > now and probe - now <= 60000 then
    return 'probing', math.min(probe, now + 5000), reason
  end
  if failures > 0 then return 'probe', 0, reason end
  return 'closed', 0, ''
end
"""

LOOK = (
    _READ
    + """
local now, told = tonumber(ARGV[1]), {}
for _, key in ipairs(KEYS) do
  local kind, till, reason = stands(key, now)
  told[#told + 1] = kind
  told[#told + 1] = till
  told[#told + 1] = reason
end
return told
"""
)

TAKE = (
    _READ
    + """
local key, now = KEYS[1], tonumber(ARGV[1])
local kind = stands(key, now)
if kind ~= 'probe' then return 0 end
redis.call('HSET', key, 'probe', now + tonumber(ARGV[2]))
return 1
"""
)

HOLD = """
local key, now, till = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local held = tonumber(redis.call('HGET', key, 'held') or 0)
local fresh = held <= now and 1 or 0
if held - now <= 900000 then till = math.max(held, till) end
redis.call('HSET', key, 'held', till, 'hold', ARGV[3], 'reason', ARGV[3], 'at', now)
redis.call('EXPIRE', key, ARGV[4])
return {fresh, till}
"""

REPORT = (
    _READ
    + """
local LEAST, WINDOW, MOST, LONGEST = 20, 30000, 100, 10
local key, now = KEYS[1], tonumber(ARGV[1])
local good, bad = tonumber(ARGV[2]), tonumber(ARGV[3])
local out, probing, why, base = ARGV[4] == '1', ARGV[5] == '1', ARGV[6], tonumber(ARGV[7])
local failures, shut = read(key, now)
local change = ''

local function open(times)
  local span = math.min(base * 2 ^ math.min(times - 1, 10), base * LONGEST)
  redis.call('HSET', key, 'failures', times, 'shut', now + span, 'span', span)
  redis.call('HDEL', key, 'good', 'bad', 'since')
end

if why ~= '' then redis.call('HSET', key, 'reason', why, 'at', now) end
if failures > 0 then -- only its probe decides: what was under way when it opened tells nothing new
  if probing then redis.call('HDEL', key, 'probe') end
  if probing or (out and shut <= now) then
    if out or bad > 0 then
      open(failures + 1)
    elseif good > 0 then
      redis.call('HDEL', key, 'failures', 'shut', 'span')
      change = 'closed'
    end
  end
else
  local w = redis.call('HMGET', key, 'since', 'good', 'bad')
  local since, had, lost = tonumber(w[1] or 0), tonumber(w[2] or 0), tonumber(w[3] or 0)
  if now - since > WINDOW or now < since then
    since, had, lost = now, 0, 0
  elseif had + lost > MOST then -- the last hundred weigh as much as what comes now: trouble shows within seconds
    local part = MOST / (had + lost)
    had, lost = had * part, lost * part
  end
  good, bad = good + had, bad + lost
  if out or (good + bad >= LEAST and bad * 2 >= good + bad) then
    open(1)
    change = 'opened'
  else
    redis.call('HSET', key, 'since', since, 'good', good, 'bad', bad)
  end
end
redis.call('EXPIRE', key, ARGV[8])
local kind, till, reason = stands(key, now)
return {change, kind, till, reason}
"""
)
