-- KEYS lease, scalers  ARGV `<scaler's id>:<token>`, scaler's id
only('zset', KEYS[2])
redis.call('ZREM', KEYS[2], ARGV[2])
if get(KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
