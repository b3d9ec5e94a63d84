-- Look for what strangers wrote into the keys that no publication holds, and put it right.
-- KEYS lease, token, scalers, proxies, lasting, events  ARGV `<scaler's id>:<token>`, the token
if get(KEYS[1]) ~= ARGV[1] then
  return {}
end

local function shown(name)
  return "'" .. string.gsub(string.sub(name, 1, 40), '[^%w%._-]', '?') .. "'"
end

only('stream', KEYS[6])

local kept = get(KEYS[2])
if not kept or not string.match(kept, '^' .. ARGV[2] .. ':%w*$') then
  foreign(KEYS[2], 'must be the token given last, was ' .. (kept and shown(kept) or 'none') .. ', written again')
  redis.call('SET', KEYS[2], ARGV[2] .. ':' .. run_id())
end

-- Ids, scored by a time in seconds.
local function members(key)
  only('zset', key)
  local entries, known = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}
  for at = 1, #entries, 2 do
    local id, score = entries[at], tonumber(entries[at + 1])
    if #id <= 128 and string.match(id, '^[%w%._-]+$') and score and score >= 0 and score < 1e11 then
      known[id] = true
    else
      foreign(key, shown(id) .. ' at ' .. string.sub(entries[at + 1], 1, 20) .. ' is no id and time, removed')
      redis.call('ZREM', key, id)
    end
  end
  return known
end

members(KEYS[3])
local proxies = members(KEYS[4])
only('set', KEYS[5])
for _, id in ipairs(redis.call('SMEMBERS', KEYS[5])) do
  if not proxies[id] then
    foreign(KEYS[5], shown(id) .. ' is no proxy, removed')
    redis.call('SREM', KEYS[5], id)
  end
end
return done()
