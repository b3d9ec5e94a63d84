-- KEYS the proxy's key, proxies  ARGV the proxy's id, ttl in ms, then field and value by turns
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
seen(KEYS[2], ARGV[1])
