-- Reads the newest messages of a room together with its position.
-- KEYS: position hash, history list. ARGV: generation and sequence above which messages are wanted.
local generation = redis.call('HGET', KEYS[1], 'generation') or '0'
local sequence = redis.call('HGET', KEYS[1], 'sequence') or '0'
local last = -1
if generation == ARGV[1] then
  last = tonumber(sequence) - tonumber(ARGV[2]) - 1
  if last < 0 then
    return {generation, sequence, {}}
  end
end
return {generation, sequence, redis.call('LRANGE', KEYS[2], 0, last)}
