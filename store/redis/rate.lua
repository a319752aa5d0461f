-- One step of a rate limit (internal/limit) on one key, by Redis's clock in microseconds.
-- KEYS[1] the key · ARGV what (take, wait or return), interval, burst, block, all times in us
-- The key's value is when it is as good as new; with a minus sign nothing is allowed before that.
-- Returns the us to wait; 0: allowed, and with take counted.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local key, what, interval, burst, block = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = tonumber(redis.call('GET', key) or '0')
local blocked = kept < 0
local due = math.abs(kept)
if due <= now then
  due, blocked = now, false
end

local function keep(value, sign)
  redis.call('SET', key, sign .. string.format('%.0f', value), 'PX', math.max(1, math.ceil((value - now) / 1000)))
end

if what == 'return' then
  if not blocked and due > now then
    if due - interval > now then
      keep(due - interval, '')
    else
      redis.call('DEL', key)
    end
  end
  return 0
end
local wait = 0
if blocked then
  wait = due - now
elseif due > now then
  wait = math.max(0, due + interval - now - interval * burst)
end
if what == 'wait' then
  return wait
end
if wait > 0 then
  if block > 0 and not blocked then
    keep(now + block, '-')
    return block
  end
  return wait
end
keep(due + interval, '')
return 0
