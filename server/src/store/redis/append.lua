-- Gives a message its position and puts it at the head of the room's history, all at once.
-- KEYS: position hash, history list, queue of the archive (or none).
-- ARGV: the message's JSON object, its id, '1' if an earlier attempt may have taken effect, messages kept, history TTL (s), position TTL (s),
-- entries of the queue at most.
if ARGV[3] == '1' then
  for _, text in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    local readable, message = pcall(cjson.decode, text)
    if readable and message.messageId == ARGV[2] then
      return {string.format('%.0f', message.generation or 0), string.format('%.0f', message.sequence or 0)}
    end
  end
end
if KEYS[3] and redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[7]) then
  return redis.error_reply('ARCHIVE too many messages wait for the archive')
end
local generation = redis.call('HGET', KEYS[1], 'generation')
if not generation then
  -- Microseconds since the epoch: later than every generation before it, and exact in a double until the year 2255.
  local now = redis.call('TIME')
  generation = now[1] .. string.format('%06d', tonumber(now[2]))
  redis.call('HSET', KEYS[1], 'generation', generation)
end
local sequence = redis.call('HINCRBY', KEYS[1], 'sequence', 1)
redis.call('EXPIRE', KEYS[1], ARGV[6])
local text = string.sub(ARGV[1], 1, -2) .. ',"sequence":' .. string.format('%.0f', sequence) .. ',"generation":' .. generation .. '}'
redis.call('LPUSH', KEYS[2], text)
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[4]) - 1)
redis.call('EXPIRE', KEYS[2], ARGV[5])
if KEYS[3] then redis.call('RPUSH', KEYS[3], 'm' .. text) end
return {generation, string.format('%.0f', sequence)}
