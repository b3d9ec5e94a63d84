# frozen_string_literal: true

require "rack"
require "rack/lint"
require "rack/mock"
require_relative "helper"

class Bodies < Minitest::Test
  include Crashing

  def answered(body, status: 200, **options)
    crashes = middleware(->(_env) { [status, { "x" => "y" }, body] }, **options)
    [crashes, crashes.call(env)[2]]
  end

  def drained(body)
    body.enum_for(:each).to_a
  ensure
    body.close
  end

  def test_an_array_is_given_back_itself_with_its_document_in_place
    answer = [500, {}.freeze, %w[a b].freeze].freeze
    crashes = middleware(->(_env) { answer })

    assert_same answer, crashes.call(env)
    assert_equal "return", document(crashes)["stopped"]
  end

  def test_a_body_that_raises_in_each_is_a_crash_after_a_200
    error = IOError.new("half way")
    crashes, body = answered(Stream.new("a", "b", error: error))
    seen = []
    assert_same(error, assert_raises(IOError) { body.each { |chunk| seen << chunk } })
    body.close
    found = document(crashes)

    assert_equal %w[a b], seen
    assert_equal ["body", 200, "close", "half way"],
                 [found["why"], found["request"]["status"], found["stopped"], found["exception"]["message"]]
  end

  def test_what_the_server_raises_while_it_sends_is_no_crash_of_the_app
    crashes, body = answered(Stream.new("a"))
    assert_raises(Errno::EPIPE) { body.each { raise Errno::EPIPE } }
    body.close

    assert_empty waiting(crashes)
  end

  def test_a_status_of_500_whose_body_is_still_to_come_is_told_at_its_close
    crashes, body = answered(Stream.new("a"), status: 500)
    assert_empty waiting(crashes)
    assert_equal %w[a], drained(body)

    assert_equal %w[status close], document(crashes).values_at("why", "stopped")
  end

  def test_what_a_body_does_is_profiled_until_its_close
    work = method(:burn)
    stream = Stream.new("a")
    stream.define_singleton_method(:each) { |&block| work.call(0.05) || block.call("a") }
    crashes, body = answered(stream, status: 500)
    drained(body)

    assert_includes names(document(crashes)), "Bodies#drained"
  end

  def test_a_body_that_never_ends_is_profiled_for_a_while_only
    was = StokerCrashes::Watch.send(:remove_const, :LONGEST_S)
    StokerCrashes::Watch.const_set(:LONGEST_S, 2)
    before = Thread.list
    crashes, body = answered(Stream.new("a"), status: 500)
    assert_equal 1, (Thread.list - before).size
    burn(0.05)
    Thread.pass until free?
    Thread.pass until (Thread.list - before).empty?
    body.close

    assert_equal [true, "timeout"], document(crashes).values_at("profiled", "stopped")
  ensure
    StokerCrashes::Watch.send(:remove_const, :LONGEST_S)
    StokerCrashes::Watch.const_set(:LONGEST_S, was)
  end

  def test_the_thread_that_waits_for_a_body_ends_with_it
    before = Thread.list
    drained(answered(Stream.new("a"))[1])
    Thread.pass until (Thread.list - before).empty?

    assert_empty Thread.list - before
  end

  def test_a_wrapped_body_answers_as_the_apps_own
    file = Struct.new(:to_path) { def each = yield("x") }.new("/srv/file")
    _, body = answered(file)

    assert_equal [true, true, true, false, false], (%i[each to_path close call to_ary].map { |name| body.respond_to?(name) })
    assert_equal ["/srv/file", true, file.class], [body.to_path, body.is_a?(Struct), body.class]
    assert_raises(NoMethodError) { body.no_such_method }
    assert_nil body.close
  end

  def test_a_body_that_writes_to_a_stream_is_only_called
    crashes, body = answered(Writing.new(KeyError.new("in the stream")))
    assert_equal [false, true], (%i[each call].map { |name| body.respond_to?(name) })
    written = []
    assert_raises(KeyError) { body.call(written) }
    body.close

    assert_equal ["written"], written
    assert_equal %w[body KeyError], document(crashes).then { |found| [found["why"], found["exception"]["class"]] }
  end

  def test_a_client_that_leaves_a_stream_is_no_crash
    crashes, body = answered(Writing.new(Errno::ECONNRESET.new))
    assert_raises(Errno::ECONNRESET) { body.call([]) }
    body.close

    assert_empty waiting(crashes)
  end

  def test_an_app_that_closes_its_body_sees_it_closed_once
    stream = Stream.new
    drained(answered(stream)[1])

    assert stream.closed
  end

  def test_the_linter_of_rack_finds_nothing
    [%w[a], Stream.new("a", "b")].each do |body|
      app = Rack::Lint.new(->(_env) { [200, { "content-type" => "text/plain" }, body] })
      crashes = Rack::Lint.new(middleware(app))
      env = Rack::MockRequest.env_for("/orders", "HTTP_X_STOKER_TOKEN" => Crashing::TOKEN)

      assert_match(/\Aab?\z/, drained(crashes.call(env)[2]).join)
      { "/__stoker/profiles" => 200, "/__stoker/profiles/x" => 404 }.each do |path, status|
        found = crashes.call(env.merge("PATH_INFO" => path))
        assert_equal status, found[0]
        drained(found[2])
      end
    end
  end

  def test_a_proxy_of_racks_around_an_array_is_an_array_still
    crashes, = answered(Rack::BodyProxy.new(%w[a]) { nil }, status: 500)

    assert_equal "return", document(crashes)["stopped"]
  end
end
