-- KEYS lock, place  ARGV owner, events, crashes
if get(KEYS[1]) ~= ARGV[1] then
  return 0
end
only('hash', KEYS[2])
redis.call('HSET', KEYS[2], 'events', ARGV[2], 'crashes', ARGV[3])
return 1
