-- Says that a task runs, and counts those that do, by Redis's clock.
-- KEYS[1] the tasks: a sorted set of ids by the ms of their last beat · ARGV id, ms after which a task is taken off
-- Returns how many there are.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
