-- Counts a try before anybody compares (otp.Challenge.Try).
-- KEYS[1] the challenge (see otp_issue.lua) · ARGV id or '', limit
-- Returns {standing, tries, {code…}, {claim}} where a code is {id, kid, hash, binding, expires ms} and a
-- claim the same and {device, session, until ms}. Standing: 0 missing, 1 foreign, 2 exhausted, 3 counted.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local key, id, limit = KEYS[1], ARGV[1], tonumber(ARGV[2])
local live, codes = 0, {}
for slot = 1, 2 do
  local c = redis.call('HMGET', key, slot .. 'id', slot .. 'kid', slot .. 'hash', slot .. 'bind', slot .. 'exp')
  if c[1] and tonumber(c[5]) > now then
    live = live + 1
    if id == '' or id == c[1] then codes[#codes + 1] = c end
  end
end
local claim = redis.call('HMGET', key, 'kcode', 'kid_', 'khash_', 'kbind', 'kexp', 'kdev', 'ksid', 'kuntil')
local claimed = claim[1] and tonumber(claim[8]) > now
if live == 0 and not claimed then return {0, 0, {}, {}} end
if claimed and id ~= '' and id ~= claim[1] then claimed = false end
local used = tonumber(redis.call('HGET', key, 'a') or '0')
if #codes == 0 and not claimed then return {1, used, {}, {}} end
if used >= limit then return {2, used, {}, {}} end
used = redis.call('HINCRBY', key, 'a', 1)
if not claimed then claim = {} end
return {3, used, codes, claim}
