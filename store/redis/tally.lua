-- Adds to a tally of one span, or reads it. The span begins with the first event.
-- KEYS[1] the tally · ARGV all and some to add, ms of a span
-- Returns all, some and the ms that are left of the span.
local key, all, some = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local left = redis.call('PTTL', key)
if left < 0 and all <= 0 and some <= 0 then
  return {0, 0, 0}
end
local function add(field, n)
  local v = math.max(0, tonumber(redis.call('HGET', key, field) or '0') + n)
  if n ~= 0 then
    redis.call('HSET', key, field, string.format('%.0f', v))
  end
  return v
end
local a, s = add('all', all), add('some', some)
if left < 0 then
  redis.call('PEXPIRE', key, ARGV[3])
  left = tonumber(ARGV[3])
end
return {a, s, left}
