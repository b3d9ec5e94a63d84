# frozen_string_literal: true

# What the Ruby tests share: the middleware around an app of the test's own, with a shelf in a folder that goes.

require "minitest/autorun"
require "timeout"
require "tmpdir"

require_relative "../../../flamegraph/rails/stoker_crashes"

# What this shell has for an app is none of the tests' business.
ENV.delete_if { |name, _| name.start_with?("STOKER_") }

# This very Ruby, which may run from a folder of its own.
RUBY_COMMAND = File.read("/proc/self/cmdline").split("\0").take_while { |word| !word.end_with?(".rb") }.freeze

module Crashing
  TOKEN = "a-token-of-the-tests"
  ID = "0123456789abcdef" * 2

  def setup
    @folder = Dir.mktmpdir
    @words = []
  end

  def teardown
    FileUtils.rm_rf(@folder)
    assert free?, "the profiler is free after every test"
    refute StackProf.running? if defined?(StackProf)
  end

  def free?
    StokerCrashes::Profiler.instance_variable_get(:@owner).nil?
  end

  def middleware(app, **options)
    StokerCrashes.new(app, **{ every: 1, directory: File.join(@folder, "shelf"), token: TOKEN, log: @words.method(:<<) }, **options)
  end

  def env(path = "/orders", **more)
    { "REQUEST_METHOD" => "GET", "SCRIPT_NAME" => "", "PATH_INFO" => path, "QUERY_STRING" => "secret=1",
      "HTTP_X_STOKER_REQUEST" => ID }.merge(more.transform_keys(&:to_s))
  end

  def ask(crashes, path, method: "GET", token: TOKEN)
    crashes.call(env(path, REQUEST_METHOD: method, HTTP_X_STOKER_TOKEN: token))
  end

  def waiting(crashes)
    JSON.parse(ask(crashes, "/__stoker/profiles")[2].join)["profiles"]
  end

  # The one document that there is, which is claimed and removed.
  def document(crashes)
    ids = waiting(crashes).map { |profile| profile["id"] }
    assert_equal 1, ids.size
    found = JSON.parse(ask(crashes, "/__stoker/profiles/#{ids[0]}")[2].join)
    assert_equal 204, ask(crashes, "/__stoker/profiles/#{ids[0]}", method: "DELETE")[0]
    found
  end

  # The document of an app that raises.
  def crash(error = RuntimeError.new("lost"), **options)
    crashes = middleware(->(_env) { raise error }, **options)
    assert_same(error, assert_raises(error.class) { crashes.call(env) })
    document(crashes)
  end

  def burn(seconds = 0.02)
    till = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) + seconds
    nil while Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) < till
  end

  def names(found)
    found["profile"]["frames"].each_value.map { |frame| frame["name"] }
  end
end

# A body that comes bit by bit, and is no array.
class Stream
  attr_reader :closed

  def initialize(*chunks, error: nil)
    @chunks = chunks
    @error = error
  end

  def each(&block)
    @chunks.each(&block)
    raise @error if @error
  end

  def close
    @closed = true
  end
end

# A body of Rack 3 that writes to a stream of the server's.
class Writing
  def initialize(error = nil)
    @error = error
  end

  def call(stream)
    stream << "written"
    raise @error if @error
  end
end
