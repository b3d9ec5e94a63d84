-- Holds requests while nothing serves, bounded in number and time, and lets them go in steps.
-- A request looks every POLL_MS whether it may go. One whose stream ended while it was held just stops looking, and is
-- swept out. One step is so many requests for each serving instance: more go only once the backend has room for them
-- again, or in the next quarter of a second, so that slow answers do not keep the rest waiting. It doubles with every
-- second in which some still wait: otherwise slow answers would keep the last of many for longer than they may wait.
-- How many wait stands in proc.stoker_held, for `get var`; proc.stoker_looks moves as long as somebody looks. (A command
-- of our own would be simpler, but HAProxy before 3.2 keeps a task of each call for ever, which still points to it.)

local POLL_MS, STEP_S, DOUBLING_S, STALE_S, SWEEP_S = 50, 0.25, 1, 1, 0.25
local STANDING_IN = 500000000
local waiting, held, looks, swept = {}, 0, 0, 0
local step_began, let_go = 0, 0
local letting_since = nil

local function now()
  local time = core.now()
  return time.sec + time.usec / 1e6
end

local function leave(token)
  if waiting[token] then
    waiting[token] = nil
    held = held - 1
  end
end

local function sweep(at)
  swept = at
  for token, looked in pairs(waiting) do
    if at - looked > STALE_S then
      leave(token)
    end
  end
end

local function tell(txn, at)
  if at - swept > SWEEP_S then
    sweep(at)
  end
  looks = looks + 1
  txn:set_var("proc.stoker_held", held)
  txn:set_var("proc.stoker_looks", looks)
end

-- One that was swept out while the whole process slept comes back.
local function look(txn, token, at)
  if not waiting[token] then
    held = held + 1
  end
  waiting[token] = at
  tell(txn, at)
end

-- While nobody serves the placeholder counts as one server; no other has so many places.
local function serving(txn)
  return txn.f:be_conn_free("app") < STANDING_IN and txn.f:nbsrv("app") or 0
end

local function may_go(txn, at, step)
  local places = step * serving(txn)
  if places == 0 then
    letting_since = nil
    return false
  end
  letting_since = letting_since or at
  places = places * 2 ^ math.floor((at - letting_since) / DOUBLING_S)
  if at - step_began > STEP_S then
    step_began, let_go = at, 0
  end
  if let_go >= places and txn.f:be_conn("app") >= places then
    return false
  end
  let_go = let_go + 1
  return true
end

-- In a worker that was replaced nothing is ever put in service again.
local function stopping(txn)
  local answer = txn.f:stopping()
  return answer == true or answer == 1
end

local function hold(txn, limit, hold_s, step)
  local began, token = now(), {}
  if held >= tonumber(limit) then
    sweep(began)
  end
  local at = began
  if held < tonumber(limit) then
    look(txn, token, at)
    while at - began < tonumber(hold_s) and not stopping(txn) do
      if may_go(txn, at, tonumber(step)) then
        leave(token)
        tell(txn, at)
        return
      end
      core.msleep(POLL_MS)
      at = now()
      look(txn, token, at)
    end
    leave(token)
    tell(txn, at)
  end
  txn:set_var("txn.refused", true)
end

core.register_action("hold", { "http-req" }, hold, 3)
