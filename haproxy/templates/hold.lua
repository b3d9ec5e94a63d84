-- Holds requests while nothing serves, bounded in number and time, and lets them go in steps.
-- A request looks every POLL_MS whether it may go. One whose stream ended while it was held just stops looking, and is
-- swept out. One step is so many requests for each serving instance: more go only once the backend has room for them
-- again, or in the next quarter of a second, so that slow answers do not keep the rest waiting.

local POLL_MS, STEP_S, STALE_S = 50, 0.25, 1
local waiting, held = {}, 0
local step_began, let_go = 0, 0

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
  for token, looked in pairs(waiting) do
    if at - looked > STALE_S then
      leave(token)
    end
  end
end

local function may_go(txn, at, step)
  local places = step * txn.f:nbsrv("app")
  if places == 0 then
    return false
  end
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
    waiting[token] = at
    held = held + 1
    while at - began < tonumber(hold_s) and not stopping(txn) do
      if may_go(txn, at, tonumber(step)) then
        leave(token)
        return
      end
      core.msleep(POLL_MS)
      at = now()
      if waiting[token] then
        waiting[token] = at
      end
    end
    leave(token)
  end
  txn:set_var("txn.refused", true)
end

core.register_action("hold", { "http-req" }, hold, 3)

core.register_cli({ "stoker", "held" }, "stoker held : how many requests wait for an instance", function(applet)
  sweep(now())
  applet:send(string.format("%d\n", held))
end)
