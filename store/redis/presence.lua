-- Every presence step touches one key: the hash presence:<bucket>, field = user, value = the entry
-- as JSON. Values are compared and replaced here, so that two tasks cannot undo each other's step.
local key, now, verb = KEYS[1], tonumber(ARGV[1]), ARGV[2]

local function live(user)
  local raw = redis.call('HGET', key, user)
  if not raw then return nil end
  local entry = cjson.decode(raw)
  if now < entry.exp then return entry end
  return nil
end

if verb == 'enter' then            -- user, entry
  local old, entry = live(ARGV[3]), cjson.decode(ARGV[4])
  if old then entry.since = old.since end
  local raw = cjson.encode(entry)
  redis.call('HSET', key, ARGV[3], raw)
  return raw
elseif verb == 'beat' then         -- user, life ms, user, life ms …  → 1 or 0 each
  local present = {}
  for i = 3, #ARGV, 2 do
    local entry = live(ARGV[i])
    if entry then
      entry.seen = math.max(entry.seen, now)
      entry.exp = math.max(entry.exp, now + tonumber(ARGV[i + 1]))
      redis.call('HSET', key, ARGV[i], cjson.encode(entry))
      present[#present + 1] = 1
    else
      present[#present + 1] = 0
    end
  end
  return present
elseif verb == 'leave' then        -- user → 1 when he was present
  local was = live(ARGV[3]) and 1 or 0
  redis.call('HDEL', key, ARGV[3])
  return was
elseif verb == 'forget' then       -- users who seemed expired to the caller → how many were
  local gone = 0
  for i = 3, #ARGV do
    if not live(ARGV[i]) then gone = gone + redis.call('HDEL', key, ARGV[i]) end
  end
  return gone
end
return redis.error_reply('unknown verb ' .. verb)
