# frozen_string_literal: true

require_relative "helper"

class WhatIsProfiled < Minitest::Test
  include Crashing

  def named
    burn(0.05)
  end

  def failing
    lambda do |_env|
      named
      raise "lost"
    end
  end

  def told(crashes, **more)
    assert_raises(RuntimeError) { crashes.call(env(**more)) }
    document(crashes).values_at("profiled", "unprofiled")
  end

  def test_a_profile_holds_the_request_and_says_how_it_was_taken
    crashes = middleware(failing)
    assert_raises(RuntimeError) { crashes.call(env) }
    found = document(crashes)
    way = StokerCrashes::Profiler.mixed? ? %w[cpu mixed] : %w[wall own]

    assert_equal [true, "", *way, "return"], found.values_at("profiled", "unprofiled", "mode", "threads", "stopped")
    assert_includes names(found), "WhatIsProfiled#named"
    assert_in_delta found["profile"]["samples"], found["profile"]["raw_sample_timestamps"].size, 1
  end

  # The stacks of a profile, a sample each, as names.
  def stacks(profile, frames = profile["frames"].transform_keys(&:to_i))
    raw = profile["raw"].dup
    found = []
    until raw.empty?
      stack = raw.shift(raw.shift).map { |id| frames.fetch(id)["name"] }
      raw.shift.times { found << stack }
    end
    found
  end

  def test_frames_keep_their_places_under_their_new_numbers
    taken = JSON.parse(JSON.generate(StackProf.run(mode: :cpu, raw: true, aggregate: false) { named }))
    told = symbols(taken).then { |results| StokerCrashes::Text.profile(results, 0) }
    found = JSON.parse(JSON.generate(told))

    assert_equal stacks(taken), stacks(found)
    assert_equal taken["raw_lines"].inspect, found["raw_lines"].inspect
    assert_equal (0...found["frames"].size).map(&:to_s), found["frames"].keys
  end

  def symbols(taken)
    results = taken.transform_keys(&:to_sym)
    results.merge(frames: taken["frames"].to_h { |id, frame| [id.to_i, frame.transform_keys(&:to_sym)] })
  end

  def test_a_sample_from_before_the_start_is_dropped
    frames = { 11 => { name: "old" }, 12 => { name: "new" }, 13 => { name: "root" } }
    results = { frames: frames, samples: 4, raw: [2, 13, 11, 1, 2, 13, 12, 3], raw_lines: [2, 1, 2, 1, 2, 1, 3, 3],
                raw_sample_timestamps: [90, 101, 102, 103], raw_timestamp_deltas: [1, 2, 3, 4] }
    told = ->(start) { StokerCrashes::Text.profile(results, start) }
    found = told.(100)

    assert_equal [[2, 0, 1, 3], [2, 1, 3, 3], [101, 102, 103], 3],
                 found.values_at(:raw, :raw_lines, :raw_sample_timestamps, :samples)
    assert_equal({ 0 => "root", 1 => "new" }, found[:frames].transform_values { |frame| frame[:name] })
    assert_equal [2, 0, 1, 1], told.(103)[:raw]
    assert_equal 4, told.(0)[:samples]
    assert_nil told.(104)
  end

  def test_the_next_profile_holds_nothing_of_the_one_before
    told(middleware(failing))
    StackProf.run(mode: :cpu, raw: true) { named } # what nobody collects

    crashes = middleware(->(_env) { burn && raise("lost") || raise("lost") })
    assert_raises(RuntimeError) { crashes.call(env) }
    refute_includes names(document(crashes)), "WhatIsProfiled#named"
  end

  def test_the_mode_of_an_older_stackprof_is_said_once
    crashes = middleware(failing)
    2.times { told(crashes) }

    assert_equal StokerCrashes::Profiler.mixed? ? 1 : 0, @words.grep(/mixed/).size
  end

  def test_one_request_in_n_is_profiled
    crashes = middleware(->(_env) { [500, {}, []] }, every: 3)
    sampled = Array.new(300) do
      crashes.call(env)
      document(crashes)["unprofiled"]
    end.tally

    assert_in_delta 200, sampled["sampled out"], 50
    assert_equal [false, "switched off"], told(middleware(failing, every: 0))
  end

  def test_the_proxy_may_ask_with_the_token
    asked = ->(token) { told(middleware(failing, every: 0), HTTP_X_STOKER_PROFILE: token) }

    assert_equal [true, ""], asked.(Crashing::TOKEN)
    ["", "1", "#{Crashing::TOKEN}x", Crashing::TOKEN[0...-1]].each do |token|
      assert_equal [false, "switched off"], asked.(token)
    end
  end

  def test_somebody_elses_profile_is_left_alone
    StackProf.start(mode: :cpu, raw: true)
    assert_equal [false, "busy"], told(middleware(failing))
    assert StackProf.running?
    StackProf.stop

    assert_operator StackProf.results[:samples], :>, 0
  end

  def test_one_request_at_a_time_is_profiled
    entered = Queue.new
    leave = Queue.new
    slow = middleware(->(_env) { [200, {}, [entered.push(1) && leave.pop]] })
    first = Thread.new { slow.call(env) }
    entered.pop
    assert_equal [false, "busy"], told(middleware(failing))
    leave.push("done")
    first.join

    assert_equal [true, ""], told(middleware(failing))
  end

  def test_a_middleware_within_another_leaves_the_request_to_it
    inner = middleware(failing)
    outer = middleware(inner)

    assert_equal [true, ""], told(outer)
  end

  def test_a_request_too_short_for_a_sample_says_so
    found = Array.new(20) { told(middleware(->(_env) { raise "at once" })) }

    assert_includes found, [false, "no samples"] # a slow machine may have had its sample in some
  end

  def test_a_fork_neither_stops_nor_tells
    crashes = middleware(lambda { |_env|
      named
      child = fork { named }
      leaving = fork
      raise "in the child" if leaving.nil?
      [child, leaving].each { |pid| Process.wait(pid) }
      raise "in the parent"
    })
    begin
      crashes.call(env)
    rescue RuntimeError => error
      exit!(0) if error.message == "in the child"
    end
    found = document(crashes)

    assert_equal ["in the parent", true], [found["exception"]["message"], found["profiled"]]
  end

  def test_a_forked_worker_profiles_on_its_own
    crashes = middleware(failing)
    held = ->(_env) { Process.wait(fork { (crashes.call(env) rescue exit!(0)) }) && [200, {}, []] }
    middleware(held).call(env)

    assert_equal true, document(crashes)["profiled"]
  end

  def test_many_threads_tell_each_their_own
    crashes = middleware(->(env) { burn(0.002) || raise(env["PATH_INFO"]) })
    Array.new(8) do |thread|
      Thread.new do
        20.times do |turn|
          crashes.call(env("/#{thread}/#{turn}", HTTP_X_STOKER_REQUEST: format("%032x", thread * 100 + turn)))
        rescue RuntimeError
          nil
        end
      end
    end.each(&:join)
    found = Dir[File.join(@folder, "shelf", "*.json")].map { |file| JSON.parse(File.read(file)) }

    assert_equal 160, found.size
    found.each { |one| assert_equal one["request"]["path"], one["exception"]["message"] }
    assert_includes found.map { |one| one["profiled"] }, true
    assert_empty found.map { |one| one["unprofiled"] } - ["", "busy", "no samples"]
  end

  def test_without_stackprof_there_are_backtraces
    program = <<~RUBY
      require #{File.expand_path('../../../flamegraph/rails/stoker_crashes', __dir__).dump}
      crashes = StokerCrashes.new(->(_env) { raise "lost" }, every: 1, directory: #{File.join(@folder, 'x').dump}, token: "x" * 16)
      crashes.call("PATH_INFO" => "/") rescue nil
      puts File.read(Dir[#{File.join(@folder, 'x/*.json').dump}].first)
    RUBY
    File.write(File.join(@folder, "stackprof.rb"), "raise LoadError")
    found = JSON.parse(IO.popen([*RUBY_COMMAND, "-I", @folder, "-e", program], err: File::NULL, &:read))

    assert_equal [false, "no stackprof", nil], found.values_at("profiled", "unprofiled", "profile")
    assert_equal "lost", found["exception"]["message"]
    assert_nil found["versions"]["stackprof"]
  end
end
