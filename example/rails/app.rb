# frozen_string_literal: true

# A Rails app whose pages fail in every way a page can, to see what Stoker shows of each.

require "action_controller/railtie"
require "timeout"

require_relative "../../flamegraph/rails/stoker_crashes"

class Shop < Rails::Application
  config.root = __dir__
  config.eager_load = true
  config.secret_key_base = "only-an-example" * 4
  config.hosts.clear
  config.consider_all_requests_local = Rails.env.development?
  config.action_dispatch.show_exceptions = Rails.version < "7.1" ? true : :all
  config.log_level = :warn
  config.logger = ActiveSupport::Logger.new($stderr)
  config.middleware.insert_before 0, StokerCrashes
end

# Uses a known processor time in methods of its own: three quarters in one, a quarter in the other.
module Burning
  def burn(ms)
    most(ms * 0.75)
    least(ms * 0.25)
  end

  private

  def spend(ms)
    until_ms = cpu_ms + ms
    nil while cpu_ms < until_ms
  end

  def cpu_ms
    Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :float_millisecond)
  end
end

class Invoice
  include Burning
  def most(ms) = spend(ms)
  def least(ms) = spend(ms)
end

class Report
  include Burning
  def most(ms) = spend(ms)
  def least(ms) = spend(ms)
end

class Delivery
  class Lost < StandardError; end

  def trace(parcel, stops)
    stops.zero? ? raise(Lost, "parcel #{parcel} was never seen again") : trace(parcel, stops - 1)
  end

  def forever(parcel) = forever(parcel + 1)
end

class PagesController < ActionController::Base
  def fine = render(plain: "fine\n")

  def slow
    Invoice.new.burn(milliseconds(400))
    render plain: "at last\n"
  end

  def waiting
    sleep 0.2
    raise "the warehouse did not answer"
  end

  def deep = Delivery.new.trace(7, 30)

  def overflow = Delivery.new.forever(0)

  def late = Timeout.timeout(0.1) { sleep }

  def stream
    headers["Last-Modified"] = Time.now.httpdate
    headers["Content-Type"] = "text/plain"
    self.response_body = Enumerator.new do |page|
      3.times { |line| page << "line #{line}\n" }
      Delivery.new.trace(8, 3)
    end
  end

  # The two burn alike under other names, so that whose samples a profile holds can be told.
  def invoice
    Invoice.new.burn(milliseconds(200))
    raise "the invoice cannot be paid"
  end

  def report
    Report.new.burn(milliseconds(200))
    render plain: "reported\n"
  end

  private

  def milliseconds(usual) = params.fetch(:ms, usual).to_f
end

Shop.initialize!
Shop.routes.draw do
  root "pages#fine"
  %w[fine slow waiting deep overflow late stream invoice report].each { |page| get page, to: "pages##{page}" }
end
