-- Counts one event over sliding windows, or only tells how long until there is room.
-- KEYS[1] the events: a sorted set of ids by ms · ARGV id ('' only asks), then max and ms of each window
-- Returns the ms to wait; 0: there was room, and the event was counted if it has an id.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local key, id, wait, longest = KEYS[1], ARGV[1], 0, 0
for i = 2, #ARGV, 2 do
  longest = math.max(longest, tonumber(ARGV[i + 1]))
end
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - longest)
for i = 2, #ARGV, 2 do
  local most, per = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  -- The window is full while the most-th newest event is in it; room comes when that one has left.
  local e = redis.call('ZREVRANGE', key, most - 1, most - 1, 'WITHSCORES')
  if e[1] and tonumber(e[2]) > now - per then
    wait = math.max(wait, tonumber(e[2]) + per - now)
  end
end
if wait == 0 and id ~= '' then
  redis.call('ZADD', key, now, id)
  redis.call('PEXPIRE', key, longest)
end
return wait
