-- KEYS lock, place  ARGV owner, ttl in ms
only('string', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
-- A lock without an end, or with one too far off, is garbage or a clock that went back.
if get(KEYS[1]) ~= ARGV[1] and left >= 0 and left <= tonumber(ARGV[2]) then
  return {}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local function at(field)
  local reply = redis.pcall('HGET', KEYS[2], field)
  return type(reply) == 'string' and string.match(reply, '^%d+%-%d+$') and #reply < 42 and reply or ''
end
return {at('events'), at('crashes'), unpack(met)}
