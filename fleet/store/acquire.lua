-- KEYS lease, token, scalers  ARGV scaler's id, ttl in ms, seconds for which an absent scaler is remembered
seen(KEYS[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', server_ms() / 1000 - ARGV[3])
-- A lease of ours always has an end; a key without one is garbage that would bar everybody for ever.
local left = redis.call('PTTL', KEYS[1])
if left >= 0 then
  -- More than was ever given means that the server's clock went back: a holder that died would bar everybody till then.
  if left > tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  return {}
end
local last, giver = string.match(get(KEYS[2]) or '', '^(%d+):(%w+)$')
local information = redis.pcall('INFO', 'server')
local here = type(information) == 'string' and string.match(information, 'run_id:(%w+)')
local token = plain(following(number(last, STORED)))
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. token, 'PX', ARGV[2])
redis.call('SET', KEYS[2], token .. ':' .. (here or ''))
return {token, giver and giver == here and 1 or 0}
