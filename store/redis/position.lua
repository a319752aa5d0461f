-- The hash position:<bucket>: field = user, value = "<ts>|<rx>|<the rest>". A position moves forward
-- in the phone's time only.
local key, verb = KEYS[1], ARGV[1]

local function times(raw)
  local ts, rx = string.match(raw, '^(%d+)|(%d+)|')
  return tonumber(ts), tonumber(rx)
end

if verb == 'put' then              -- user, value, user, value …
  for i = 2, #ARGV, 2 do
    local old = redis.call('HGET', key, ARGV[i])
    if not old or times(ARGV[i + 1]) > times(old) then
      redis.call('HSET', key, ARGV[i], ARGV[i + 1])
    end
  end
  return 1
elseif verb == 'forget' then       -- oldest rx, users → how many were as old
  local gone, oldest = 0, tonumber(ARGV[2])
  for i = 3, #ARGV do
    local raw = redis.call('HGET', key, ARGV[i])
    if raw then
      local _, rx = times(raw)
      if rx <= oldest then gone = gone + redis.call('HDEL', key, ARGV[i]) end
    end
  end
  return gone
end
return redis.error_reply('unknown verb ' .. verb)
