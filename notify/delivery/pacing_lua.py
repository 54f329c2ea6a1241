"""How openings of a limit are reserved, by Redis at once, for all workers. Times are seconds of Redis's clock."""

from __future__ import annotations

RESERVE = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local spacing, back, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local reach, share, member = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local parts, stretch = tonumber(ARGV[7]), tonumber(ARGV[8])
local function text(number) return string.format('%.6f', number) end
local names = {}
for i = 1, parts do names[i] = i end
local frees, free, part, idle = redis.call('HMGET', KEYS[1], unpack(names)), nil, 1, 0
for i = 1, parts do
  local at = tonumber(frees[i] or 0)
  if at > now + 10 + 2 * spacing then at = 0 end
  if at < now then idle = idle + 1 end
  if not free or at < free then free, part = at, i end
end
if free < now - 1 - spacing then redis.call('DEL', KEYS[3]) end
local first = math.max(free, now - back)
local own = tonumber(redis.call('ZSCORE', KEYS[2], member) or 0)
local active = redis.call('ZCOUNT', KEYS[2], '(' .. text(now - 1), '+inf')
if own <= now - 1 then own, active = now - 1, active + 1 end
if active > 1 and own <= now and share > reach then reach = share end
if first - now > reach then return {0, text(first - now - reach)} end
local count = math.min(want, 1 + math.floor((now + reach - first) / spacing))
if 2 * idle > parts then count = math.max(count, stretch) end
free = first + count * spacing
redis.call('HSET', KEYS[1], part, text(free))
redis.call('PEXPIRE', KEYS[1], math.ceil(1000 * (60 + free - now)))
redis.call('ZADD', KEYS[2], text(math.min(own + count * spacing * active / parts, now + 2)), member)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now - 1))
redis.call('PEXPIRE', KEYS[2], 60000)
return {count, text(first - now)}
"""
"""Openings of a limit: how many, and in how many seconds the first is. None when it is out of reach: then, how far.

KEYS: when the next opening of each part is free; until when each member had its share; what was promised to whom, which
is void once openings go unused. They are of the part that is free the soonest; `spacing` is that within a part. While
most parts are idle, a `stretch` of openings is given away at once. Who took less than a fair share of late, beside
others, may reach farther. A next opening beyond all reach is from before a change of the rate or the clock.
"""
