# frozen_string_literal: true

require "minitest/mock"
require_relative "helper"

class TheShelf < Minitest::Test
  include Crashing

  PROFILES = "/__stoker/profiles"

  def failing(**options)
    middleware(->(env) { [env["PATH_INFO"] == "/fine" ? 200 : 500, {}, ["the app"]] }, **options)
  end

  def fail_as(crashes, *ids)
    ids.each do |id|
      crashes.call(env("/", HTTP_X_STOKER_REQUEST: format("%032x", id)))
      burn(0.03) if ids.size < 10 # a file's time goes on in steps of the kernel's clock, of up to 10 ms
    end
  end

  def shelf
    File.join(@folder, "shelf")
  end

  def limited(**limits)
    before = limits.to_h { |name, _| [name, StokerCrashes::Shelf.send(:remove_const, name)] }
    limits.each { |name, value| StokerCrashes::Shelf.const_set(name, value) }
    yield
  ensure
    before.each do |name, value|
      StokerCrashes::Shelf.send(:remove_const, name)
      StokerCrashes::Shelf.const_set(name, value)
    end
  end

  def test_what_waits_is_listed_the_oldest_first
    crashes = failing
    fail_as(crashes, 2, 1, 3)
    found = waiting(crashes)

    assert_equal [2, 1, 3], (found.map { |one| one["id"].to_i(16) })
    assert_equal File.size(File.join(shelf, "#{found[0]['id']}.json")), found[0]["size"]
    assert_operator found[0]["age_s"], :>=, found[1]["age_s"]
  end

  def test_no_more_than_100_are_listed
    fail_as(crashes = failing, *1..101)

    assert_equal 100, waiting(crashes).size
  end

  def test_a_fetch_claims_and_a_deletion_removes
    crashes = failing
    fail_as(crashes, 10)
    id = format("%032x", 10)
    status, headers, body = ask(crashes, "#{PROFILES}/#{id}")

    assert_equal [200, "application/json", id], [status, headers["content-type"], JSON.parse(body.join)["id"]]
    assert_equal body.join.bytesize.to_s, headers["content-length"]
    assert_equal 404, ask(crashes, "#{PROFILES}/#{id}")[0]
    assert_empty waiting(crashes)
    assert_equal 204, ask(crashes, "#{PROFILES}/#{id}", method: "DELETE")[0]
    assert_empty Dir.children(shelf)
  end

  def test_of_many_who_fetch_one_has_it
    crashes = failing
    10.times do |turn|
      fail_as(crashes, turn)
      statuses = Array.new(8) { Thread.new { ask(crashes, format("#{PROFILES}/%032x", turn))[0] } }.map(&:value)
      assert_equal({ 200 => 1, 404 => 7 }, statuses.tally)
    end
  end

  def test_without_the_token_there_is_nothing_and_no_word_why
    crashes = failing
    fail_as(crashes, 1)
    plain = [404, "Not Found\n"]
    path = format("#{PROFILES}/%032x", 1)

    [nil, "", "wrong", Crashing::TOKEN.upcase, "#{Crashing::TOKEN} "].each do |token|
      [PROFILES, path].product(%w[GET DELETE]).each do |where, method|
        status, _, body = ask(crashes, where, method: method, token: token)
        assert_equal plain, [status, body.join]
      end
    end
    assert_equal 1, waiting(crashes).size
  end

  def test_the_app_never_sees_the_path
    ["", "/", "/x/y", "/..", "/%2e%2e", "/#{'a' * 129}", "/a b", "/a\n"].product(%w[PUT POST HEAD PATCH GET]).each do |rest, method|
      next if rest.empty? && method == "GET"

      assert_equal 404, ask(failing, PROFILES + rest, method: method)[0], [rest, method].inspect
    end
    assert_equal ["the app"], ask(failing, "#{PROFILES}ed")[2]
  end

  def test_an_app_without_a_token_serves_nothing_and_says_so
    [[nil, /is not set/], ["short", /16 or more/], ["with a space in it", /16 or more/]].each do |token, words|
      crashes = failing(token: token)
      fail_as(crashes, 1)

      assert_equal 404, ask(crashes, PROFILES, token: token)[0]
      assert_equal 1, @words.grep(words).size
      refute_includes @words.join, "short"
      @words.clear
    end
  end

  def test_the_folder_and_its_files_are_for_nobody_else
    fail_as(failing, 1)

    assert_equal [0o700, 0o600], ([shelf, Dir[File.join(shelf, "*")][0]].map { |file| File.stat(file).mode & 0o777 })
  end

  def test_a_folder_that_others_may_write_to_is_refused
    Dir.mkdir(shelf)
    File.chmod(0o777, shelf)
    fail_as(crashes = failing, 1)

    assert_empty Dir.children(shelf)
    assert_match(/can be written by others/, @words.join)
    assert_equal "failed: Errno::EPERM", document(crashes)["unprofiled"]
  end

  def test_a_folder_that_somebody_else_put_there_is_refused
    skip "only root can give a folder away" unless Process.euid.zero?
    other = File.join(@folder, "other")
    Dir.mkdir(other, 0o700)
    File.symlink(other, shelf)
    File.lchown(65_534, 65_534, shelf)
    fail_as(failing, 1)

    assert_empty Dir.children(other)
  end

  def test_where_nothing_can_be_written_backtraces_are_kept_and_one_line_says_so
    File.write(File.join(@folder, "file"), "")
    crashes = failing(directory: File.join(@folder, "file", "below"))
    fail_as(crashes, *1..25)
    found = waiting(crashes)

    assert_equal 1, @words.grep(/can be stored/).size
    assert_equal (6..25).to_a, (found.map { |one| one["id"].to_i(16) })
    document = JSON.parse(ask(crashes, "#{PROFILES}/#{found[0]['id']}")[2].join)
    assert_equal [false, nil], document.values_at("profiled", "profile")
    assert_match(/\Afailed: Errno::/, document["unprofiled"])
    assert_equal 404, ask(crashes, "#{PROFILES}/#{found[0]['id']}")[0]
    assert_equal 204, ask(crashes, "#{PROFILES}/#{found[1]['id']}", method: "DELETE")[0]
  end

  def test_a_full_disk_leaves_no_part_behind
    crashes = failing
    refuse = ->(*) { raise Errno::ENOSPC }
    File.stub(:rename, refuse) { fail_as(crashes, 1) }

    assert_empty Dir.children(shelf)
    assert_equal "failed: Errno::ENOSPC", document(crashes)["unprofiled"]
  end

  def test_the_oldest_go_where_there_are_too_many
    limited(FILES: 3) { fail_as(crashes = failing, *1..5) || assert_equal([3, 4, 5], waiting(crashes).map { |one| one["id"].to_i(16) }) }
  end

  def test_the_oldest_go_where_they_are_too_large
    fail_as(failing, 1)
    size = waiting(failing)[0]["size"]
    limited(BYTES: size * 5 / 2) do
      fail_as(crashes = failing, *2..4)
      assert_equal([3, 4], waiting(crashes).map { |one| one["id"].to_i(16) })
    end
  end

  def test_what_is_old_goes_claimed_or_not
    crashes = failing
    fail_as(crashes, 1, 2)
    ask(crashes, format("#{PROFILES}/%032x", 1))
    limited(AGE_S: -1) { assert_empty waiting(crashes) }

    assert_empty Dir.children(shelf)
  end

  def test_a_profile_too_large_leaves_the_backtrace
    limited(LARGEST: 10) do
      crashes = middleware(->(_env) { burn || raise("lost") })
      assert_raises(RuntimeError) { crashes.call(env) }
      assert_equal [false, "too large", nil], document(crashes).values_at("profiled", "unprofiled", "profile")
    end
  end

  def test_each_app_and_port_has_a_folder_of_its_own
    usual = ->(root, port) { ENV["PORT"] = port; StokerCrashes::Shelf.usual(root) }
    before = ENV.fetch("PORT", nil)

    assert_equal 3, [["/a", "1"], ["/a", "2"], ["/b", "1"]].map { |root, port| usual.(root, port) }.uniq.size
    assert_equal usual.("/a", "1"), usual.("/a", "1")
  ensure
    ENV["PORT"] = before
  end
end

class Settings < Minitest::Test
  include Crashing

  def with(environment)
    before = environment.to_h { |name, _| [name, ENV.fetch(name, nil)] }
    ENV.update(environment)
    yield
  ensure
    ENV.update(before)
  end

  def sampled(environment)
    with(environment) { crash(every: nil)["unprofiled"] }
  end

  def test_everything_is_profiled_in_development_and_little_in_production
    assert_includes ["", "no samples"], sampled("RAILS_ENV" => "development")
    srand(1) # one in a hundred is profiled in production, too, and this is none
    assert_equal "sampled out", sampled("RAILS_ENV" => "production", "RACK_ENV" => "development")
    assert_equal "switched off", sampled("RAILS_ENV" => "development", "STOKER_PROFILE_EVERY" => "0")
  end

  def test_a_number_that_is_none_is_said
    assert_includes ["", "no samples"], sampled("RAILS_ENV" => "development", "STOKER_PROFILE_EVERY" => "often")
    assert_match(/STOKER_PROFILE_EVERY must be a whole number, was "often"; 1 holds/, @words.join)
  end

  def test_messages_are_kept_back_by_the_environment
    with("STOKER_PROFILE_MESSAGES" => "0") { assert_nil crash["exception"]["message"] }
  end

  def test_an_option_that_there_is_not_is_refused
    assert_raises(ArgumentError) { middleware(nil, evry: 3) }
  end
end
