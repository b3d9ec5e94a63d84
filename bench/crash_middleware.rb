# frozen_string_literal: true

# The processor time that the crash middleware adds to a request that it does not profile: 10,000 calls in one process, in
# turns with none.

require_relative "../flamegraph/rails/stoker_crashes"
require "tmpdir"

CALLS = 10_000
ROUNDS = 11
ANSWER = [200, {}.freeze, ["fine"].freeze].freeze
APP = ->(_env) { ANSWER }

def us_a_call(app)
  envs = Array.new(CALLS) do |index|
    { "REQUEST_METHOD" => "GET", "SCRIPT_NAME" => "", "PATH_INFO" => "/orders/#{index}",
      "HTTP_X_STOKER_REQUEST" => format("%032x", index) }
  end
  GC.start
  started = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
  envs.each { |env| app.call(env) }
  (Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - started) * 1e6 / CALLS
end

Dir.mktmpdir do |folder|
  quiet = ->(_line) {}
  off = StokerCrashes.new(APP, every: 0, directory: folder, token: "a-token-of-the-bench", log: quiet)
  seldom = StokerCrashes.new(APP, every: 1_000_000, directory: folder, token: "a-token-of-the-bench", log: quiet)
  runs = { bare: APP, again: APP, off: off, unsampled: seldom }
  found = Hash.new { |hash, name| hash[name] = [] }
  ROUNDS.times { runs.each { |name, app| found[name] << us_a_call(app) } }
  median = found.transform_values { |times| times.sort[ROUNDS / 2] }
  added = %i[again off unsampled].map { |name| format("%s %.2f", name, median[name] - median[:bare]) }
  puts "Ruby #{RUBY_VERSION}: a bare call #{format('%.2f', median[:bare])} us, added: #{added.join(', ')} us (#{ROUNDS} rounds)"
end
