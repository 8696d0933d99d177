-- Makes a room's record if there is none, and enters it for the archive if there is one. Returns the record that counts.
-- KEYS: record, queue of the archive (or none). ARGV: the record's JSON object, its TTL (s).
if redis.call('SET', KEYS[1], ARGV[1], 'NX') and KEYS[2] then
  redis.call('RPUSH', KEYS[2], 'r' .. ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('GET', KEYS[1])
