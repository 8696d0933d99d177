-- The oldest entries that wait for the archive, for the instance that holds the lease; nil for the others.
-- KEYS: lease, queue. ARGV: instance, lease in ms, entries at most.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return nil end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('LRANGE', KEYS[2], 0, tonumber(ARGV[3]) - 1)
