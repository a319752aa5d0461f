-- Lets one caller win a code (otp.Challenge.Consume): every code dies, its device may repeat it.
-- KEYS[1] the challenge (see otp_issue.lua) · ARGV id, device, session, window ms
-- Returns {won, {claim}} with the claim that stands, {} when there is none; see otp_try.lua.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local key = KEYS[1]
for slot = 1, 2 do
  local c = redis.call('HMGET', key, slot .. 'id', slot .. 'kid', slot .. 'hash', slot .. 'bind', slot .. 'exp')
  if c[1] == ARGV[1] and tonumber(c[5]) > now then
    local ends = now + tonumber(ARGV[4])
    redis.call('HDEL', key, '1id', '1kid', '1hash', '1bind', '1exp', '2id', '2kid', '2hash', '2bind', '2exp')
    redis.call('HSET', key, 'a', 0, 'kcode', c[1], 'kid_', c[2], 'khash_', c[3], 'kbind', c[4], 'kexp', c[5],
      'kdev', ARGV[2], 'ksid', ARGV[3], 'kuntil', ends)
    redis.call('PEXPIREAT', key, math.max(ends, tonumber(redis.call('HGET', key, 'e') or '0')))
    return {1, {c[1], c[2], c[3], c[4], c[5], ARGV[2], ARGV[3], tostring(ends)}}
  end
end
local claim = redis.call('HMGET', key, 'kcode', 'kid_', 'khash_', 'kbind', 'kexp', 'kdev', 'ksid', 'kuntil')
if claim[1] and tonumber(claim[8]) > now then return {0, claim} end
return {0, {}}
