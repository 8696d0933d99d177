-- Who is in which session room: each step all at once. ARGV[1] names the step, ARGV[2] is the prefix of all keys, ARGV[3] an instance.
--
-- {p}room:{room}:users                    hash: user -> {"username":..,"isDisconnectConfirm":..}: the documented one
-- {p}chatwright:session-devices:{room}    hash: user -> number of devices there
-- {p}chatwright:session-grace             sorted set: JSON [room, user] -> when the grace period ends (ms of this server's clock)
-- {p}chatwright:session-instances         sorted set: instance -> until when its lease lives
-- {p}chatwright:session-instance:{i}      hash: '{device}:{room}' -> JSON [user, name]; what is to be undone when it dies
-- {p}chatwright:session-version           the last version
--
-- A device id is 32 hex digits, so a room id in a field begins at a fixed place and may hold any character.
local step, prefix, instance = ARGV[1], ARGV[2], ARGV[3]
local instances = prefix .. 'chatwright:session-instances'
local entries = prefix .. 'chatwright:session-instance:' .. instance
local grace = prefix .. 'chatwright:session-grace'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- An instance that enters something before its first renewal gets this much time for it.
local FIRST_LEASE = 15000
-- Departures confirmed in one question, so that a question stays short.
local DUE_MAX = 100
-- Characters before the room id in an entry's field.
local ROOM_AT = 34

local function users_of(room) return prefix .. 'room:' .. room .. ':users' end
local function devices_of(room) return prefix .. 'chatwright:session-devices:' .. room end

-- Versions follow the clock in microseconds, so that they go on growing when everything else is lost.
local function next_version()
  local key = prefix .. 'chatwright:session-version'
  local last = tonumber(redis.call('GET', key) or '0')
  local version = string.format('%.0f', math.max(last + 1, clock[1] * 1000000 + clock[2]))
  redis.call('SET', key, version)
  return version
end

local function value(name, gone)
  return '{"username":' .. cjson.encode(name) .. ',"isDisconnectConfirm":' .. (gone and 'true' or 'false') .. '}'
end

local function is_gone(json) return cjson.decode(json).isDisconnectConfirm end

-- Takes a device of a user out of a room; the grace period of a user without devices ends at the given time.
local function take_out(room, user, ends)
  if redis.call('HINCRBY', devices_of(room), user, -1) > 0 then return end
  redis.call('HDEL', devices_of(room), user)
  if redis.call('HEXISTS', users_of(room), user) == 1 then
    redis.call('ZADD', grace, ends, cjson.encode({ room, user }))
  end
end

local function present(room)
  local all, here = redis.call('HGETALL', users_of(room)), { next_version() }
  for i = 1, #all, 2 do
    local known = cjson.decode(all[i + 1])
    if not known.isDisconnectConfirm then
      here[#here + 1] = all[i]
      here[#here + 1] = known.username
    end
  end
  return here
end

-- The devices of dead instances are gone since their leases ran out.
local function bury(period)
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', instances, '-inf', now)) do
    local left = prefix .. 'chatwright:session-instance:' .. dead
    local died = tonumber(redis.call('ZSCORE', instances, dead))
    local all = redis.call('HGETALL', left)
    for i = 1, #all, 2 do
      take_out(string.sub(all[i], ROOM_AT), cjson.decode(all[i + 1])[1], died + period)
    end
    redis.call('DEL', left)
    redis.call('ZREM', instances, dead)
  end
end

local steps = {}

-- ARGV[4]: lease in ms. Returns 1 if the lease held.
function steps.renew()
  local until_ = redis.call('ZSCORE', instances, instance)
  redis.call('ZADD', instances, now + tonumber(ARGV[4]), instance)
  return (until_ and tonumber(until_) > now) and 1 or 0
end

-- What an instance leaves behind is for the others to clear up.
function steps.resign()
  if redis.call('EXISTS', entries) == 1 then
    redis.call('ZADD', instances, now, instance)
  else
    redis.call('ZREM', instances, instance)
  end
  return 0
end

-- ARGV: 4 device, 5 user, 6 name, 7 room, 8 users allowed. Returns 0 if the room is full, else how the user was found (new, back,
-- present), the version, and who is there.
function steps.enter()
  local device, user, name, room, users_max = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
  local users = users_of(room)
  local known = redis.call('HGET', users, user)
  if not known and redis.call('HLEN', users) >= users_max then
    local all = redis.call('HGETALL', users)
    for i = 1, #all, 2 do
      if is_gone(all[i + 1]) then redis.call('HDEL', users, all[i]) end
    end
    if redis.call('HLEN', users) >= users_max then return 0 end
  end
  redis.call('ZADD', instances, 'NX', now + FIRST_LEASE, instance)
  local found = 'present'
  if not known then found = 'new' elseif is_gone(known) then found = 'back' end
  if redis.call('HSET', entries, device .. ':' .. room, cjson.encode({ user, name })) == 1 then
    redis.call('HINCRBY', devices_of(room), user, 1)
  end
  redis.call('ZREM', grace, cjson.encode({ room, user }))
  redis.call('HSET', users, user, value(name, false))
  local answer = present(room)
  table.insert(answer, 1, found)
  return answer
end

-- ARGV: 4 device, 5 user, 6 room, 7 grace period in ms.
function steps.leave()
  if redis.call('HDEL', entries, ARGV[4] .. ':' .. ARGV[6]) == 1 then take_out(ARGV[6], ARGV[5], now + tonumber(ARGV[7])) end
  return 0
end

-- ARGV: 4 room. Returns the version and who is there.
function steps.present() return present(ARGV[4]) end

-- ARGV: 4 grace period in ms for the users of dead instances; -1: nobody is taken for dead now. Returns the ms to the next departure (-1: there is none), then room, user,
-- name and version of each departure.
function steps.due()
  if tonumber(ARGV[4]) >= 0 then bury(tonumber(ARGV[4])) end
  local gone = {}
  for _, who in ipairs(redis.call('ZRANGEBYSCORE', grace, '-inf', now, 'LIMIT', 0, DUE_MAX)) do
    redis.call('ZREM', grace, who)
    local room, user = cjson.decode(who)[1], cjson.decode(who)[2]
    local known = redis.call('HGET', users_of(room), user)
    if known and not is_gone(known) then
      local name = cjson.decode(known).username
      redis.call('HSET', users_of(room), user, value(name, true))
      for _, part in ipairs({ room, user, name, next_version() }) do gone[#gone + 1] = part end
      local is_empty = true
      for _, other in ipairs(redis.call('HVALS', users_of(room))) do
        if not is_gone(other) then is_empty = false break end
      end
      if is_empty then redis.call('DEL', users_of(room), devices_of(room)) end
    end
  end
  local next = redis.call('ZRANGE', grace, 0, 0, 'WITHSCORES')[2]
  table.insert(gone, 1, next and string.format('%.0f', math.max(0, tonumber(next) - now)) or '-1')
  return gone
end

return steps[step]()
