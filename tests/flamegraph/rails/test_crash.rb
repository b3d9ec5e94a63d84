# frozen_string_literal: true

require_relative "helper"

class WhatIsACrash < Minitest::Test
  include Crashing

  def kept(answer = nil, error: nil, **options)
    crashes = middleware(->(env) { env.merge!(error.to_h) && answer }, **options)
    assert_same answer, crashes.call(env)
    waiting(crashes).size
  end

  def test_an_exception_that_leaves_the_app_is_one
    found = crash(ArgumentError.new("no such order"))

    assert_equal ["raised", "ArgumentError", "no such order"], [found["why"], *found["exception"].values_at("class", "message")]
    assert_equal [1, ID, Process.pid, nil], [found["stoker_crash"], found["id"], found["pid"], found["request"]["status"]]
    assert_match(/test_crash\.rb|helper\.rb:\d+:in/, found["exception"]["backtrace"][0])
  end

  def test_a_status_of_500_or_more_is_one_even_without_an_exception
    assert_equal 0, kept([499, {}, ["no"]])
    assert_equal 1, kept([503, {}, ["down"]])
  end

  def test_the_exception_is_found_where_frameworks_leave_it
    %w[action_dispatch.exception rack.exception sinatra.error].each do |key|
      error = (raise key rescue $!)
      crashes = middleware(->(env) { env[key] = error and [500, {}, ["oops"]] })
      crashes.call(env)
      found = document(crashes)

      assert_equal ["status", 500, key], [found["why"], found["request"]["status"], found["exception"]["message"]]
    end
  end

  def test_an_exception_answered_below_500_is_none
    assert_equal 0, kept([404, {}, ["gone"]], error: { "action_dispatch.exception" => KeyError.new("no route") })
  end

  def test_a_throw_is_none
    crashes = middleware(->(_env) { throw :halt, [200, {}, ["caught"]] })

    assert_equal([200, {}, ["caught"]], catch(:halt) { crashes.call(env) })
    assert_empty waiting(crashes)
  end

  def test_an_exception_that_was_there_before_is_none
    crashes = middleware(->(_env) { throw :halt })
    begin
      raise "before"
    rescue RuntimeError
      catch(:halt) { crashes.call(env) }
    end

    assert_empty waiting(crashes)
  end

  def test_a_killed_thread_is_none
    crashes = middleware(->(_env) { Thread.current.kill })
    Thread.new { crashes.call(env) }.join

    assert_empty waiting(crashes)
  end

  def test_exceptions_of_every_kind_leave_as_they_came
    [Interrupt.new("stop"), SystemExit.new(3), NoMemoryError.new("much"), Class.new(Exception).new("odd")].each do |error|
      assert_equal error.class.name || "(anonymous)", crash(error)["exception"]["class"]
    end
  end

  def test_a_timeout_is_one
    crashes = middleware(->(_env) { Timeout.timeout(0.02) { sleep } })

    assert_raises(Timeout::Error) { crashes.call(env) }
    assert_equal "Timeout::Error", document(crashes)["exception"]["class"]
  end

  # Older Rubies end a bare `Timeout.timeout` by a throw, which nobody on the way can tell from any other.
  def test_a_timeout_around_everything_goes_on
    crashes = middleware(->(_env) { sleep })

    assert_raises(Timeout::Error) { Timeout.timeout(0.02) { crashes.call(env) } }
    assert_equal defined?(Timeout::ExitException) ? 1 : 0, waiting(crashes).size
  end

  def test_an_exception_from_another_thread_is_one
    crashes = middleware(->(_env) { sleep })
    working = Thread.new { crashes.call(env) }.tap { |thread| thread.report_on_exception = false }
    Thread.pass until working.stop?
    working.raise(IOError, "shut down")

    assert_raises(IOError) { working.join }
    assert_equal "shut down", document(crashes)["exception"]["message"]
  end

  def test_a_stack_overflow_is_one_and_its_backtrace_is_cut_in_the_middle
    deep = ->(n) { deep.(n + 1) }
    crashes = middleware(->(_env) { deep.(0) })
    assert_raises(SystemStackError) { crashes.call(env) }
    found = document(crashes)["exception"]

    assert_equal [400, true], [found["backtrace"].size, found["cut"]]
    assert_operator found["frames"], :>, 5000
    assert_match(/minitest/, found["backtrace"].last)
  end

  def test_a_slow_request_is_one_from_the_limit_on
    slow = ->(_env) { burn(0.05) || [200, {}, []] }
    found = middleware(slow, slow_ms: 20).tap { |crashes| crashes.call(env) }

    assert_equal "slow", document(found)["why"]
    assert_empty waiting(middleware(slow, slow_ms: 5000).tap { |crashes| crashes.call(env) })
    assert_empty waiting(middleware(slow, slow_ms: 20, every: 0).tap { |crashes| crashes.call(env) })
  end

  def test_a_server_that_hijacked_gets_back_what_the_app_gave
    [nil, [], [-1, {}, []], "odd", [200, {}, nil], ["200", {}, []]].each do |odd|
      crashes = middleware(->(_env) { odd })
      assert_equal [odd].inspect, [crashes.call(env)].inspect
      assert_empty waiting(crashes)
    end
  end
end

class WhatIsTold < Minitest::Test
  include Crashing

  def test_the_request_is_the_one_that_came_whatever_the_app_makes_of_it
    crashes = middleware(lambda { |env|
      env["PATH_INFO"] << "/changed"
      env.update("REQUEST_METHOD" => "HEAD", "PATH_INFO" => "/500", "SCRIPT_NAME" => "/x")
      [500, {}, []]
    })
    before = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
    crashes.call(env(+"/orders/1", SCRIPT_NAME: "/shop", REQUEST_METHOD: +"POST"))
    found = document(crashes)["request"]

    assert_equal %w[POST /shop/orders/1], found.values_at("method", "path")
    assert_operator before, :<=, found["started_at_us"]
    assert_operator found["started_at_us"], :<=, found["stopped_at_us"]
    assert_operator found["stopped_at_us"], :<=, Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
    refute_match(/secret/, found.to_s)
  end

  def test_an_id_that_is_not_the_proxys_is_replaced
    [nil, "", "../../etc/passwd", "A" * 32, "0" * 33].each do |id|
      crashes = middleware(->(_env) { [500, {}, []] })
      crashes.call(env("/", HTTP_X_STOKER_REQUEST: id))

      assert_match(/\A[0-9a-f]{32}\z/, document(crashes)["id"])
    end
  end

  def test_strings_in_no_encoding_are_scrubbed
    name = "caf\xC3\xA9\xFF".b
    error = RuntimeError.new("\xFFno \xC3\xA9".b)
    error.set_backtrace(["/srv/\xE9.rb:1:in `x'", "シフト:2".encode("Shift_JIS")])
    crashes = middleware(->(_env) { raise error })
    assert_raises(RuntimeError) { crashes.call(env(name)) }
    found = document(crashes)

    assert_equal ["café\uFFFD", "\uFFFDno é"], [found["request"]["path"], found["exception"]["message"]]
    assert_equal ["/srv/\uFFFD.rb:1:in `x'", "シフト:2"], found["exception"]["backtrace"]
  end

  def test_a_message_is_cut_and_may_be_kept_back
    cause = ->(found) { found["exception"].values_at("message", "cause") }
    long = (raise "x" * 600 rescue (raise KeyError, "y" * 600 rescue $!))

    assert_equal ["#{'y' * 499}…", { "class" => "RuntimeError", "message" => "#{'x' * 499}…" }], cause.(crash(long))
    assert_equal ["yyyy…", "xxxx…"], cause.(crash(long, message_length: 5)).then { |m, c| [m, c["message"]] }
    assert_equal [nil, { "class" => "RuntimeError", "message" => nil }], cause.(crash(long, messages: false))
  end

  def test_an_exception_that_cannot_speak_is_told_without_words
    mute = Class.new(StandardError) { def message = raise("mute") }

    assert_nil crash(mute.new)["exception"]["message"]
  end

  def test_an_exception_that_was_never_raised_has_no_backtrace
    crashes = middleware(->(env) { env["rack.exception"] = RuntimeError.new("only made") and [500, {}, []] })
    crashes.call(env)

    assert_equal [[], 0, false], document(crashes)["exception"].values_at("backtrace", "frames", "cut")
  end

  def test_the_versions_and_the_root_are_told
    found = crash

    assert_equal [RUBY_VERSION, StackProf::VERSION], found["versions"].values_at("ruby", "stackprof")
    assert_equal [Dir.pwd, Socket.gethostname], found.values_at("root", "host")
  end
end
