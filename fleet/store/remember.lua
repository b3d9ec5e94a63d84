-- KEYS lease, proxies, lasting  ARGV `<scaler's id>:<token>`, the proxy's id, whether it outlives its agent (1 or 0)
if get(KEYS[1]) ~= ARGV[1] then
  return {}
end
seen(KEYS[2], ARGV[2])
if ARGV[3] == '1' then
  only('set', KEYS[3])
  redis.call('SADD', KEYS[3], ARGV[2])
end
return done()
