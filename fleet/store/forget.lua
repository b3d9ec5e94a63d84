-- KEYS lease, proxies, lasting  ARGV `<scaler's id>:<token>`, the proxy's id
if get(KEYS[1]) ~= ARGV[1] then
  return {}
end
only('zset', KEYS[2])
only('set', KEYS[3])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('SREM', KEYS[3], ARGV[2])
return done()
