-- Adds a code to a challenge, gives fresh tries and starts the cool-down (otp.Challenge.Issue).
-- KEYS[1] the challenge, a hash:
--   a tries used · s sent at (ms) · e end of the cool-down (ms)
--   1id 1kid 1hash 1bind 1exp   the newest code · 2… the one before it
--   kid_ khash_ kcode kbind kdev ksid kuntil   the consumed code that its device may repeat
-- ARGV id, kid, hash, binding, life ms, cool-down ms
-- Returns the ms to wait, 0 when the code was added.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local key, life, cool = KEYS[1], tonumber(ARGV[5]), tonumber(ARGV[6])
local sent = tonumber(redis.call('HGET', key, 's') or '0')
if sent > 0 and sent + cool > now then
  return sent + cool - now
end
local old = redis.call('HMGET', key, '1id', '1kid', '1hash', '1bind', '1exp')
if old[1] and tonumber(old[5]) > now then
  redis.call('HSET', key, '2id', old[1], '2kid', old[2], '2hash', old[3], '2bind', old[4], '2exp', old[5])
end
redis.call('HSET', key, 'a', 0, 's', now, 'e', now + cool,
  '1id', ARGV[1], '1kid', ARGV[2], '1hash', ARGV[3], '1bind', ARGV[4], '1exp', now + life)
local last = now + math.max(life, cool)
local claimed = tonumber(redis.call('HGET', key, 'kuntil') or '0')
redis.call('PEXPIREAT', key, math.max(last, claimed))
return 0
