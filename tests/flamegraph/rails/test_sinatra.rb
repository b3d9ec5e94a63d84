# frozen_string_literal: true

require "rack/mock"
require "sinatra/base"
require_relative "helper"

class InSinatra < Minitest::Test
  include Crashing

  class Shop < Sinatra::Base
    set :environment, :production
    set :host_authorization, {} if settings.respond_to?(:host_authorization)
    disable :logging, :dump_errors
    get("/fine") { "fine" }
    get("/halt") { halt 409, "not now" }
    get("/lost") { raise KeyError, "no such parcel" }
    get("/down") { halt 503, "closed" }
    get("/stream") { stream { |out| out << "line" } }
    error(KeyError) { "an error page" }
  end

  def get(path)
    crashes = middleware(Shop.new)
    [crashes, Rack::MockRequest.new(crashes).get(path)]
  end

  def test_a_page_that_fails_is_told_and_answered_by_the_app
    crashes, answer = get("/lost")
    found = document(crashes)

    assert_equal [500, "an error page"], [answer.status, answer.body]
    assert_equal ["status", "/lost", "KeyError", "no such parcel"],
                 [found["why"], found["request"]["path"], *found["exception"].values_at("class", "message")]
  end

  def test_a_halt_is_a_crash_by_its_status_alone
    assert_equal [409, 503], (%w[/halt /down].map { |path| get(path)[1].status })
    assert_nil document(middleware(Shop.new))["exception"]
  end

  def test_what_is_fine_or_nowhere_or_streams_is_none
    bodies = %w[/fine /nowhere /stream].map { |path| get(path)[1].status }

    assert_equal [200, 404, 200], bodies
    assert_empty waiting(middleware(Shop.new))
  end
end
