-- Counts a try before anybody compares (otp.Challenge.Try), or tells what one would be (otp.Challenge.Look).
-- KEYS[1] the challenge (see otp_issue.lua) · ARGV id or '', limit, 'count' or 'look', and the device of who tries, under each pepper
-- Standing: 0 missing, 1 foreign, 2 exhausted, 3 counted.
-- Looking returns {standing, codes to compare with} and changes nothing; counting returns
-- {standing, tries, {code…}, {claim}} where a code is {id, kid, hash, binding, expires ms} and a claim the
-- same and {device, session, until ms}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local key, id, limit, look = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] == 'look'
local live, codes = 0, {}
for slot = 1, 2 do
  local c = redis.call('HMGET', key, slot .. 'id', slot .. 'kid', slot .. 'hash', slot .. 'bind', slot .. 'exp')
  if c[1] and tonumber(c[5]) > now then
    live = live + 1
    if id == '' or id == c[1] then codes[#codes + 1] = c end
  end
end
local claim = redis.call('HMGET', key, 'kcode', 'kid_', 'khash_', 'kbind', 'kexp', 'kdev', 'ksid', 'kuntil')
local claimed = false
if claim[1] and tonumber(claim[8]) > now then
  for i = 4, #ARGV do claimed = claimed or claim[6] == ARGV[i] end -- to others it is gone
end
local used = tonumber(redis.call('HGET', key, 'a') or '0')
local standing = 3
if live == 0 and not claimed then
  standing, used = 0, 0
else
  if claimed and id ~= '' and id ~= claim[1] then claimed = false end
  if #codes == 0 and not claimed then
    standing = 1
  elseif used >= limit then
    standing, codes = 2, {}
  end
end
if look then return {standing, #codes} end
if standing ~= 3 then return {standing, used, {}, {}} end
used = redis.call('HINCRBY', key, 'a', 1)
if not claimed then claim = {} end
return {3, used, codes, claim}
