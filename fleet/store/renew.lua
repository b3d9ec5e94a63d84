-- KEYS lease, scalers  ARGV `<scaler's id>:<token>`, ttl in ms, scaler's id
seen(KEYS[2], ARGV[3])
if get(KEYS[1]) ~= ARGV[1] then
  return {}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return done()
