-- Connections whose clients are away; each step all at once. ARGV[1] names the step.
--
-- KEYS[1]  hash: user, id, keeper, standing (JSON), forgotten ('' for none)
-- KEYS[2]  stream: what was told, each entry with its offset `o` and its text `t`
--
-- Both live as long as the window that began when the client went away.
local step, away, told = ARGV[1], KEYS[1], KEYS[2]
local steps = {}

local function append(from)
  for i = from, #ARGV, 2 do redis.call('XADD', told, '*', 'o', ARGV[i], 't', ARGV[i + 1]) end
end

-- ARGV: 2 window in ms, 3 user, 4 id, 5 keeper, 6 standing, 7 forgotten, 8.. pairs of offset and text.
function steps.keep()
  redis.call('DEL', away, told)
  redis.call('HSET', away, 'user', ARGV[3], 'id', ARGV[4], 'keeper', ARGV[5], 'standing', ARGV[6], 'forgotten', ARGV[7])
  append(8)
  redis.call('PEXPIRE', away, ARGV[2])
  redis.call('PEXPIRE', told, ARGV[2])
  return 1
end

-- ARGV: 2 how many stay, 3 standing, 4 forgotten, 5.. pairs of offset and text. Returns 0 if it is not kept any more.
function steps.add()
  local left = redis.call('PTTL', away)
  if left <= 0 then -- the last millisecond counts as over, for whoever takes it too
    redis.call('DEL', away, told)
    return 0
  end
  redis.call('HSET', away, 'standing', ARGV[3], 'forgotten', ARGV[4])
  append(5)
  redis.call('XTRIM', told, 'MAXLEN', '~', ARGV[2])
  redis.call('PEXPIRE', told, left)
  return 1
end

-- ARGV: 2 user. Returns nothing, or id, keeper, standing, forgotten, and the stream's entries.
function steps.take()
  if redis.call('HGET', away, 'user') ~= ARGV[2] then return false end
  local known = redis.call('HMGET', away, 'id', 'keeper', 'standing', 'forgotten')
  local all = redis.call('XRANGE', told, '-', '+')
  redis.call('DEL', away, told)
  return {known[1], known[2], known[3], known[4], all}
end

return steps[step]()
