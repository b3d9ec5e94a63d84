# frozen_string_literal: true

# A fault at any line of the middleware, at its first pass and at its last, in every kind of request.

require_relative "helper"

class Faults < Minitest::Test
  include Crashing

  SOURCE = File.expand_path("../../../flamegraph/rails/stoker_crashes.rb", __dir__)
  LOST = RuntimeError.new("lost")
  Fault = Class.new(StandardError)
  Grave = Class.new(Exception)
  ANSWERS = {
    array: [200, { "a" => "b" }.freeze, %w[x].freeze].freeze,
    failed: [500, { "a" => "b" }.freeze, %w[x].freeze].freeze
  }.freeze

  # What the outside sees of a request, in one value that can be compared.
  def seen(crashes, body: nil)
    answer = catch(:halt) { crashes.call(env) }
    return answer if answer.is_a?(Symbol)

    chunks = []
    begin
      answer[2].respond_to?(:each) ? answer[2].each { |chunk| chunks << chunk } : answer[2].call(chunks)
    rescue RuntimeError => error
      chunks << error
    ensure
      answer[2].close if answer[2].respond_to?(:close)
    end
    [answer[0], answer[1], chunks, body&.closed]
  rescue RuntimeError => error
    [error, error.cause]
  end

  def apps
    stream = ->(error = nil, status = 200) { ->(_env) { [status, {}, Stream.new("a", "b", error: error)] } }
    {
      array: ->(_env) { ANSWERS[:array] },
      failed: ->(env) { env["rack.exception"] = LOST and ANSWERS[:failed] },
      raised: ->(_env) { burn(0.003) || raise(LOST) },
      thrown: ->(_env) { throw :halt, :halted },
      streamed: stream.(),
      stream_raised: stream.(LOST),
      stream_failed: stream.(nil, 500),
      written: ->(_env) { [200, {}, Writing.new] }
    }
  end

  # The lines that a request passes, each with how often.
  def passed(app, **options)
    crashes = middleware(app, **options)
    lines = Hash.new(0)
    TracePoint.new(:line) { |point| lines[point.lineno] += 1 if point.path == SOURCE }.enable { seen(crashes) }
    lines
  end

  def with_fault(line, pass, kind, **scope)
    left = pass
    fired = false
    trace = TracePoint.new(:line) do |point|
      next if fired || point.path != SOURCE || point.lineno != line || !(left -= 1).zero?

      fired = true
      raise kind, "injected"
    end
    [trace.enable(**scope) { yield }, fired]
  end

  def check(name, app, **options)
    expected = seen(app)
    passed(app, **options).each do |line, times|
      [1, times].uniq.product([Fault, Grave]).each do |pass, kind|
        crashes = middleware(app, **options)
        found, = with_fault(line, pass, kind) { seen(crashes) }
        where = "#{name}, line #{line}, pass #{pass}: #{File.readlines(SOURCE)[line - 1].strip}"

        assert_equal expected, found, where
        assert free?, where
        refute StackProf.running?, where
        assert_equal expected, seen(crashes), "the next request after #{where}"
      end
    end
  end

  def test_the_lines_of_every_kind_of_request_are_tried
    apps.each { |name, app| check(name, app) }
    check("unprofiled", apps[:raised], every: 0)
    check("asked for", apps[:raised], every: 100)
  end

  def test_a_fault_in_the_thread_that_waits_for_a_body_frees_the_profiler
    was = StokerCrashes::Watch.send(:remove_const, :LONGEST_S)
    StokerCrashes::Watch.const_set(:LONGEST_S, 0.01)
    others = Thread.list
    app = apps[:stream_failed]
    patient = lambda do
      answer = middleware(app).call(env)
      Thread.pass until (Thread.list - others).empty?
      assert free?
      seen(->(_env) { answer })
    end
    lines = Hash.new(0)
    TracePoint.new(:line) { |point| lines[point.lineno] += 1 if point.path == SOURCE }.enable(target_thread: nil) { patient.() }
    lines.each_key do |line|
      assert_equal seen(app), with_fault(line, 1, Fault, target_thread: nil) { patient.() }[0], "line #{line}"
    end
  ensure
    StokerCrashes::Watch.send(:remove_const, :LONGEST_S)
    StokerCrashes::Watch.const_set(:LONGEST_S, was)
  end

  def test_a_fault_while_it_is_set_up_leaves_the_app_alone
    lines = Hash.new(0)
    build = -> { middleware(apps[:array]) }
    TracePoint.new(:line) { |point| lines[point.lineno] += 1 if point.path == SOURCE }.enable { build.() }
    lines.each_key do |line|
      crashes, fired = with_fault(line, 1, Fault) { build.() }

      assert fired
      assert_equal ANSWERS[:array], crashes.call(env), "line #{line}"
    end
  end

  def test_a_fault_while_profiles_are_served_is_a_404_or_no_matter
    crashes = middleware(apps[:raised])
    seen(crashes)
    lines = Hash.new(0)
    trace = TracePoint.new(:line) { |point| lines[point.lineno] += 1 if point.path == SOURCE }
    trace.enable { ask(crashes, "/__stoker/profiles") }
    lines.each_key do |line|
      answer, = with_fault(line, 1, Fault) { ask(crashes, "/__stoker/profiles") rescue $! }
      next if answer.equal?(LOST) # a fault before the path was looked at: the app answers

      assert_includes [200, 404], answer[0], "line #{line}"
      crashes = middleware(apps[:raised])
    end
  end

  def test_after_three_it_is_switched_off_and_says_so_once
    line = File.readlines(SOURCE).index { |text| text.include?("watch.start(spared(env))") } + 1
    crashes = middleware(apps[:array])
    5.times { with_fault(line, 1, Fault) { seen(crashes) } }

    assert_equal [3, 1], [@words.grep(/a fault of/).size, @words.grep(/switched off after 3/).size]
    seen(middleware(apps[:array]))
    assert_raises(RuntimeError) { middleware(->(_env) { raise LOST }).call(env) }
  end

  def test_a_fault_is_told_by_its_line_and_the_request_is_told_still
    line = File.readlines(SOURCE).index { |text| text.include?("StackProf.results # drops") } + 1
    crashes = middleware(apps[:raised])
    with_fault(line, 1, Fault) { seen(crashes) }

    assert_match(/a fault of the crash middleware, Faults::Fault at .*; the request went on without it/, @words.last)
    assert_equal [false, "failed: Faults::Fault"], document(crashes).values_at("profiled", "unprofiled")
  end
end
