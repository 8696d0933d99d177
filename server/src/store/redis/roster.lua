-- The roster's steps, each all at once. ARGV[1] names the step, ARGV[2] is the prefix of all keys, ARGV[3] an instance.
--
-- {p}chatwright:instances                 sorted set: instance -> until when its lease lives (ms of this server's clock)
-- {p}chatwright:instance:{instance}       hash: 'c:{device}' or 'r:{device}:{room}' -> JSON of the member; what is to be undone when it dies
-- {p}chatwright:connections:{user}        hash: device -> instance
-- {p}chatwright:present:{room}            hash: user -> number of devices there
-- {p}chat:room:{room}:users               set of users: the documented one
-- {p}user:presence:{user}                 hash status, lastSeen, socketId: the documented one
--
-- A device id is 32 hex digits, so a room id in a field begins at a fixed place and may hold any character.
local step, prefix, instance = ARGV[1], ARGV[2], ARGV[3]
local instances = prefix .. 'chatwright:instances'
local entries = prefix .. 'chatwright:instance:' .. instance
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- An instance that enters something before its first renewal gets this much time for it.
local FIRST_LEASE = 15000
local PRESENCE_TTL = 3600

local function lives(other)
  local until_ = redis.call('ZSCORE', instances, other)
  return until_ and tonumber(until_) > now
end

local function connections_of(user) return prefix .. 'chatwright:connections:' .. user end
local function presence_of(user) return prefix .. 'user:presence:' .. user end

local function absent(room, user)
  local present = prefix .. 'chatwright:present:' .. room
  if redis.call('HINCRBY', present, user, -1) > 0 then return false end
  redis.call('HDEL', present, user)
  redis.call('SREM', prefix .. 'chat:room:' .. room .. ':users', user)
  return true
end

-- A device that another instance has taken over stays.
local function disconnected(user, device, owner)
  local connections = connections_of(user)
  if redis.call('HGET', connections, device) == owner then redis.call('HDEL', connections, device) end
  local other = redis.call('HKEYS', connections)[1]
  if other then
    redis.call('HSET', presence_of(user), 'lastSeen', string.format('%.0f', now), 'socketId', other)
  else
    redis.call('HSET', presence_of(user), 'status', 'offline', 'lastSeen', string.format('%.0f', now), 'socketId', '')
  end
  redis.call('EXPIRE', presence_of(user), PRESENCE_TTL)
end

local function connected(user, device)
  redis.call('HSET', presence_of(user), 'status', 'online', 'lastSeen', string.format('%.0f', now), 'socketId', device)
  redis.call('EXPIRE', presence_of(user), PRESENCE_TTL)
end

local steps = {}

-- ARGV[4]: lease in ms. Returns 1 if the lease held.
function steps.renew()
  local held = lives(instance) and 1 or 0
  redis.call('ZADD', instances, now + tonumber(ARGV[4]), instance)
  return held
end

-- What an instance leaves behind is for the others to clear up.
function steps.resign()
  if redis.call('EXISTS', entries) == 1 then
    redis.call('ZADD', instances, 0, instance)
  else
    redis.call('ZREM', instances, instance)
  end
  return 0
end

-- ARGV: 4 device, 5 user, 6 member JSON, 7 connections allowed. Returns 1 if admitted.
function steps.connect()
  local device, user = ARGV[4], ARGV[5]
  local connections = connections_of(user)
  redis.call('ZADD', instances, 'NX', now + FIRST_LEASE, instance)
  local all, count = redis.call('HGETALL', connections), 0
  for i = 1, #all, 2 do
    if all[i] ~= device then
      if lives(all[i + 1]) then count = count + 1 else redis.call('HDEL', connections, all[i]) end
    end
  end
  if count >= tonumber(ARGV[7]) and redis.call('HEXISTS', connections, device) == 0 then return 0 end
  redis.call('HSET', connections, device, instance)
  redis.call('HSET', entries, 'c:' .. device, ARGV[6])
  connected(user, device)
  return 1
end

-- ARGV: 4 device, 5 user.
function steps.disconnect()
  if redis.call('HDEL', entries, 'c:' .. ARGV[4]) == 1 then disconnected(ARGV[5], ARGV[4], instance) end
  return 0
end

-- ARGV: 4 device, 5 user, 6 member JSON, 7 room. Returns 1 if the user was not there before.
function steps.enter()
  redis.call('ZADD', instances, 'NX', now + FIRST_LEASE, instance)
  if redis.call('HSETNX', entries, 'r:' .. ARGV[4] .. ':' .. ARGV[7], ARGV[6]) == 0 then return 0 end
  if redis.call('HINCRBY', prefix .. 'chatwright:present:' .. ARGV[7], ARGV[5], 1) > 1 then return 0 end
  redis.call('SADD', prefix .. 'chat:room:' .. ARGV[7] .. ':users', ARGV[5])
  return 1
end

-- ARGV: 4 device, 5 user, 6 room. Returns 1 if the user is gone.
function steps.leave()
  if redis.call('HDEL', entries, 'r:' .. ARGV[4] .. ':' .. ARGV[6]) == 0 then return 0 end
  return absent(ARGV[6], ARGV[5]) and 1 or 0
end

-- ARGV: 4 room. Returns the users, without those whose devices all belong to instances that are dead and not reaped yet.
function steps.members()
  local room = ARGV[4]
  local users = redis.call('SMEMBERS', prefix .. 'chat:room:' .. room .. ':users')
  local dead = redis.call('ZRANGEBYSCORE', instances, '-inf', now)
  if #dead == 0 then return users end
  local ghosts = {}
  for _, other in ipairs(dead) do
    local all = redis.call('HGETALL', prefix .. 'chatwright:instance:' .. other)
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 2) == 'r:' and string.sub(all[i], 36) == room then
        local user = cjson.decode(all[i + 1]).u
        ghosts[user] = (ghosts[user] or 0) + 1
      end
    end
  end
  local here = {}
  for _, user in ipairs(users) do
    local count = tonumber(redis.call('HGET', prefix .. 'chatwright:present:' .. room, user) or '0')
    if count > (ghosts[user] or 0) then here[#here + 1] = user end
  end
  return here
end

-- ARGV: 4.. pairs of device and user.
function steps.refresh()
  for i = 4, #ARGV, 2 do connected(ARGV[i + 1], ARGV[i]) end
  return 0
end

-- Clears up after one dead instance. Returns 0 if there is none, else a list of room, member JSON, room, member JSON, ...
function steps.reap()
  local dead = redis.call('ZRANGEBYSCORE', instances, '-inf', now, 'LIMIT', 0, 1)[1]
  if not dead then return 0 end
  local left = prefix .. 'chatwright:instance:' .. dead
  local all, gone = redis.call('HGETALL', left), {}
  for i = 1, #all, 2 do
    local user, device = cjson.decode(all[i + 1]).u, string.sub(all[i], 3, 34)
    if string.sub(all[i], 1, 2) == 'c:' then
      disconnected(user, device, dead)
    else
      local room = string.sub(all[i], 36)
      if absent(room, user) then
        gone[#gone + 1] = room
        gone[#gone + 1] = all[i + 1]
      end
    end
  end
  redis.call('DEL', left)
  redis.call('ZREM', instances, dead)
  return gone
end

return steps[step]()
