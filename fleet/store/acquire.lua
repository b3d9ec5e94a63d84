-- KEYS lease, token, scalers  ARGV scaler's id, ttl in ms, seconds for which an absent scaler is remembered
-- A lease of ours always has an end; a key without one is garbage that would bar everybody for ever.
local left = redis.call('PTTL', KEYS[1])
local barred = left >= 0
-- What is no set is left for the holder to find, who can tell it.
if not barred or redis.call('TYPE', KEYS[3])['ok'] == 'zset' then
  seen(KEYS[3], ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', server_ms() / 1000 - ARGV[3])
end
if barred then
  -- More than was ever given means that the server's clock went back: a holder that died would bar everybody till then.
  if left > tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  return {}
end
local last, giver = string.match(get(KEYS[2]) or '', '^(%d+):(%w*)$')
if not last and redis.call('TYPE', KEYS[2])['ok'] ~= 'none' then
  foreign(KEYS[2], 'must be the token given last, written anew')
end
local here = run_id()
local token = plain(following(number(last, STORED)))
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. token, 'PX', ARGV[2])
redis.call('SET', KEYS[2], token .. ':' .. here)
return {token, giver and giver ~= '' and giver == here and 1 or 0, unpack(met)}
