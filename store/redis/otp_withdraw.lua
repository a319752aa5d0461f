-- Takes back a code that was not sent (otp.Challenge.Withdraw). The newest one's cool-down ends with it.
-- KEYS[1] the challenge (see otp_issue.lua) · ARGV id
local key = KEYS[1]
if redis.call('HGET', key, '1id') == ARGV[1] then
  redis.call('HDEL', key, 's', 'e', '1id', '1kid', '1hash', '1bind', '1exp')
  local old = redis.call('HMGET', key, '2id', '2kid', '2hash', '2bind', '2exp')
  if old[1] then
    redis.call('HSET', key, '1id', old[1], '1kid', old[2], '1hash', old[3], '1bind', old[4], '1exp', old[5])
    redis.call('HDEL', key, '2id', '2kid', '2hash', '2bind', '2exp')
  end
elseif redis.call('HGET', key, '2id') == ARGV[1] then
  redis.call('HDEL', key, '2id', '2kid', '2hash', '2bind', '2exp')
end
return 0
