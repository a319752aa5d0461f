-- Takes and keeps the seats of a link's viewers on one task, by Redis's clock.
-- KEYS[1] the seats of the link: a sorted set of seats, which sort by age as text, by the ms until which each is held
-- ARGV ms to hold them · how many there may be · how many left · those who left … · those who are here …
-- Returns the seats that are too many, the oldest, which are given up; whoever still has one asks again and hears it.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local gone = tonumber(ARGV[3])
for i = 4, #ARGV do
  if i < 4 + gone then
    redis.call('ZREM', KEYS[1], ARGV[i])
  else
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i])
  end
end
local over = {}
local seats = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(seats)
for i = 1, #seats - ARGV[2] do
  redis.call('ZREM', KEYS[1], seats[i])
  over[i] = seats[i]
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return over
