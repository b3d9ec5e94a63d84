# frozen_string_literal: true

# Rack middleware that keeps the profile and the backtrace of a request that fails, for Stoker's proxy to fetch.
#
# One file for Ruby 3.0 or newer and Rack 2 or 3, on the standard library alone; with the gem stackprof there are profiles.
# Put it outermost (the README beside it says how). Its rule: a request never feels a fault of ours. What may fail runs
# under a rescue of ours; where both may raise, a flag set on the very line tells whose exception it is, which is why a
# few lines hold two statements, and rescue nothing once the flag is set.

require "digest"
require "fileutils"
require "json"
require "securerandom"
require "socket"
require "timeout"
require "tmpdir"

begin
  require "stackprof"
rescue LoadError
  nil # backtraces only, as every document then says
end

class StokerCrashes
  ANY = [Exception].freeze
  FAULT_UNLESS = { nil => ANY, true => [].freeze }.freeze
  # Our sections hold asynchronous exceptions back, so that one of these is always somebody else's, and goes on its way.
  HELD = { Object => :never }.freeze
  FOREIGN = [SignalException, SystemExit, Timeout::Error,
             *(Timeout::ExitException if defined?(Timeout::ExitException))].freeze
  FAULTS = 3
  EXCEPTIONS = %w[action_dispatch.exception stoker.exception rack.exception sinatra.error].freeze

  attr_reader :root, :slow_ms

  def initialize(app, every: nil, slow_ms: nil, directory: nil, token: nil, messages: nil, message_length: 500, log: nil)
    @app = app
    @log = log
    @faults = 0
    @every = every || setting("EVERY", development? ? 1 : 100)
    @slow_ms = slow_ms || setting("SLOW_MS", nil)
    @messages = messages.nil? ? ENV["STOKER_PROFILE_MESSAGES"] != "0" : messages
    @message_length = message_length
    @root = (defined?(::Rails.root) && ::Rails.root || Dir.pwd).to_s
    @shelf = Shelf.new(directory || ENV["STOKER_PROFILE_DIR"] || Shelf.usual(@root), secret(token), method(:say))
    introduce
  rescue *ANY => error
    @app = app
    @faults = FAULTS
    @shelf ||= Shelf.new(nil, nil, method(:say))
    say("the crash middleware is switched off: #{error.class}: #{error.message}")
  end

  def call(env)
    begin
      target, watch = prepare(env)
      entered = true; return conclude(watch, target.call(env))
    rescue *FAULT_UNLESS[entered] => error
      fault(watch, error)
    end
    @app.call(env)
  ensure
    begin
      watch&.left($!)
    rescue *ANY => error
      fault(watch, error)
    end
  end

  def keep(watch)
    @shelf.keep(watch.id) { |dropped| watch.document(dropped) }
  end

  # An exception's words, as far as they may be kept. They come from code of the app, which may fail in turn.
  def words(error)
    Text.clean(error.message.to_s, @message_length) if @messages
  rescue StandardError
    nil
  end

  # Counts a fault of ours once everything is given back; raises what was none.
  def fault(watch, error)
    watch&.abandon(error)
    raise error if FOREIGN.any? { |kind| error.is_a?(kind) }

    @faults += 1
    return if @faults > FAULTS

    say("a fault of the crash middleware, #{error.class} at #{error.backtrace&.first}; the request went on without it")
    say("the crash middleware is switched off after #{FAULTS} faults") if @faults == FAULTS
  end

  private

  def prepare(env)
    return [@shelf] if Shelf.at?(env)
    return [@app] if @faults >= FAULTS || env["stoker.watched"]

    env["stoker.watched"] = true
    watch = Watch.new(self, env)
    watch.start(spared(env))
    [@app, watch]
  rescue *ANY => error
    fault(watch, error)
    [@app, watch]
  end

  # What is raised once all is finished was held back meanwhile, and is not ours.
  def conclude(watch, answer)
    finished = nil
    return answer unless watch

    Thread.handle_interrupt(HELD) do
      given = watch.returned(answer)
      finished = true; given
    end
  rescue *FAULT_UNLESS[finished] => error
    fault(watch, error)
    answer
  end

  # Why a request is not profiled; nil when it is to be.
  def spared(env)
    return if @every == 1 || @shelf.entitled?(env["HTTP_X_STOKER_PROFILE"])

    @every.positive? ? ("sampled out" unless Random.rand(@every).zero?) : "switched off"
  end

  def development?
    environment = defined?(::Rails.env) ? ::Rails.env : ENV["RAILS_ENV"] || ENV["RACK_ENV"] || ENV["APP_ENV"]
    environment.to_s == "development"
  end

  # A number of the environment that cannot be read is said, and the default holds: the app must start all the same.
  def setting(name, default)
    given = ENV["STOKER_PROFILE_#{name}"]
    given ? Integer(given, 10) : default
  rescue ArgumentError
    say("STOKER_PROFILE_#{name} must be a whole number, was #{given.inspect}; #{default.inspect} holds")
    default
  end

  def secret(token)
    token ||= ENV["STOKER_PROFILE_TOKEN"]
    return token if token&.match?(/\A[A-Za-z0-9._~-]{16,}\z/)

    say("STOKER_PROFILE_TOKEN #{token ? 'needs 16 or more of A-Z a-z 0-9 . _ ~ -' : 'is not set'}: no profile is served")
    nil
  end

  def introduce
    say("stackprof #{Profiler.version} profiles the processor time of all threads: profiles are mixed") if Profiler.mixed?
    return if @@intercepting || !defined?(::ActionDispatch::DebugExceptions.register_interceptor)

    # Rails' own page for developers answers without leaving its exception anywhere.
    ::ActionDispatch::DebugExceptions.register_interceptor { |request, error| request.set_header("stoker.exception", error) }
    @@intercepting = true
  end
  @@intercepting = false

  def say(words)
    line = "stoker: #{words}"
    return @log.call(line) if @log

    logger = ::Rails.logger if defined?(::Rails.logger)
    logger ? logger.warn(line) : $stderr.puts(line)
  rescue StandardError
    nil
  end

  # The process's one profiler: busy for all but its owner, and stopped by nobody who did not start it.
  module Profiler
    LOCK = Mutex.new
    INTERVAL_US = 1000

    class << self
      def version
        ::StackProf::VERSION if defined?(::StackProf::VERSION) && RUBY_ENGINE == "ruby"
      end

      # Before 0.2.23 the wall clock's signal reached whichever thread it liked, so that only processor time is left.
      def mixed?
        version && Gem::Version.new(version) < Gem::Version.new("0.2.23")
      end

      def mode
        @mode ||= mixed? ? :cpu : :wall
      end

      # Why it could not be started; nil when it was.
      def start(owner)
        return "no stackprof" unless version

        LOCK.synchronize do
          @owner = nil unless @pid == Process.pid # in a fork's child nothing runs
          @pid = Process.pid
          return "busy" if @owner || StackProf.running?

          StackProf.results # drops what a profile that nobody collected would leak into ours
          @owner = owner if StackProf.start(mode: mode, interval: INTERVAL_US, raw: true, aggregate: false)
          "busy" unless @owner
        end
      end

      # Yields the owner's results, once.
      def stop(owner)
        LOCK.synchronize do
          next unless @owner.equal?(owner) && @pid == Process.pid

          StackProf.stop
          yield StackProf.results if block_given?
          @owner = nil
        end
      end
    end
  end

  # One request from its start to its end, and what is told of it if it failed.
  class Watch
    LONGEST_S = 10
    FRAMES = 400

    def initialize(crashes, env)
      @outer = $!
      @pid = Process.pid
      @crashes = crashes
      @env = env
      @method = "#{env['REQUEST_METHOD']}"
      @path = "#{env['SCRIPT_NAME']}#{env['PATH_INFO']}"
      @started_us = now_us
    end

    def id
      @id ||= @env["HTTP_X_STOKER_REQUEST"].to_s[/\A[0-9a-f]{32}\z/] || SecureRandom.hex(16)
    end

    def start(spared)
      @unprofiled = spared || Thread.handle_interrupt(HELD) { Profiler.start(self) }
      @started_us = now_us
    end

    # The app answered: the same answer, but for a body that is still to come, which is wrapped.
    def returned(answer)
      @status = answer[0].to_i if answer.is_a?(Array)
      failed("status", EXCEPTIONS.filter_map { |name| @env[name] }.first) if @status && @status >= 500
      return wrapped(answer) if answer.is_a?(Array) && !Body.whole?(answer[2])

      finish("return")
      answer
    end

    # The call ended, however it came to that; an exception that was there before, a `throw` or a kill is no failure.
    def left(error)
      return if @done || @wrapped || Process.pid != @pid
      return Profiler.stop(self) if error.nil? || error.equal?(@outer)

      failed("raised", error)
      finish("return")
    end

    def body_failed(error)
      failed("body", error) unless @done
    end

    def finish(stopped)
      return if @done || Process.pid != @pid

      @done = true
      Thread.handle_interrupt(HELD) do
        @timer&.kill
        halt(stopped)
        @ended_us = now_us
        @why ||= "slow" if slow?
        @crashes.keep(self) if @why
      end
    end

    def fault(error)
      @crashes.fault(self, error)
    end

    def abandon(error)
      Profiler.stop(self)
      @unprofiled = "failed: #{error.class}"
    end

    def document(dropped)
      profile = Text.profile(@profile, @started_us) if @profile && !dropped
      reason = dropped || @unprofiled || ("no samples" unless profile)
      {
        stoker_crash: 1, id: id, why: @why, at: Time.now.to_f.round(3), request: request, exception: exception,
        profiled: reason.nil?, unprofiled: reason.to_s, threads: (Profiler.mixed? ? "mixed" : "own" unless reason),
        mode: (Profiler.mode unless reason), stopped: @stopped || "return", versions: versions, root: @crashes.root,
        pid: @pid, host: Socket.gethostname, profile: (profile unless reason)
      }
    end

    private

    def wrapped(answer)
      given = answer.dup
      given[2] = Body.new(answer[2], self)
      expire_later unless @unprofiled
      @wrapped = true
      given
    end

    def now_us
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
    end

    def failed(why, error)
      @why = why
      @error = error || @error
    end

    # Without a profile there is nothing to see of a slow request.
    def slow?
      @crashes.slow_ms && @profile && @ended_us - @started_us > @crashes.slow_ms * 1000
    end

    def halt(stopped)
      at = now_us
      Profiler.stop(self) do |results|
        @profile = results
        @stopped = stopped
        @stopped_us = at
      end
      @stopped ||= stopped
      @stopped_us ||= at
    end

    # A body may never end; the profiler is not its alone. The thread ends with the body, or after its work.
    def expire_later
      @timer = Thread.new do
        Thread.handle_interrupt(Object => :immediate) { sleep(LONGEST_S) }
        Thread.handle_interrupt(HELD) { halt("timeout") }
      rescue *ANY => error
        fault(error)
      end
    end

    def request
      { method: Text.clean(@method, 100), path: Text.clean(@path, 2000), status: @status, started_at_us: @started_us,
        stopped_at_us: @stopped_us, duration_ms: (@ended_us - @started_us) / 1000.0 }
    end

    def exception
      return unless @error

      trace = @error.backtrace || []
      shown = trace.size > FRAMES ? trace.first(FRAMES / 2) + trace.last(FRAMES / 2) : trace
      { class: name(@error), message: @crashes.words(@error), backtrace: shown.map { |line| Text.clean(line, 1000) },
        frames: trace.size, cut: trace.size > FRAMES,
        cause: @error.cause && { class: name(@error.cause), message: @crashes.words(@error.cause) } }
    end

    def name(error)
      Text.clean(error.class.name || "(anonymous)", 200)
    end

    def versions
      { ruby: RUBY_VERSION, rack: (::Rack.release if defined?(::Rack.release)),
        rails: (::Rails.version if defined?(::Rails.version)), stackprof: Profiler.version }
    end
  end

  # A body that is still to come: answers as the app's own does, and tells how it ended.
  class Body < BasicObject
    ENDS = %i[each call].freeze
    GONE = [::IOError, ::Errno::EPIPE, ::Errno::ECONNRESET].freeze

    # Rails before 7.1 claims `to_ary` for every body, streams too: what lies below decides.
    def self.whole?(body)
      return body.nil? unless body.respond_to?(:to_ary)

      inner = body
      inner = inner.instance_variable_get(:@body) while defined?(::Rack::BodyProxy) && ::Rack::BodyProxy === inner
      return true unless defined?(::ActionDispatch::Response::RackBody) && ::ActionDispatch::Response::RackBody === inner

      inner.instance_variable_get(:@response).stream.instance_variable_get(:@buf).respond_to?(:to_ary)
    end

    def initialize(body, watch)
      @body = body
      @watch = watch
      @closes = body.respond_to?(:close)
    end

    def respond_to?(name, all = false)
      name.to_sym == :close || @body.respond_to?(name, all)
    rescue *ANY
      name.to_sym == :close || @body.respond_to?(name, all)
    end

    def method_missing(name, *arguments, &block)
      outer = $!
      @outside = false
      sink = block && name == :each ? outward(block) : block
      entered = true; @body.public_send(name, *arguments, &sink) if @closes || name != :close
    rescue *FAULT_UNLESS[entered]
      @body.public_send(name, *arguments, &block) if @closes || name != :close
    ensure
      begin
        ended(name, $!.equal?(outer) ? nil : $!)
      rescue *ANY => error
        @watch.fault(error)
      end
    end

    private

    # What the server's block raises, when its client has gone say, is not the app's failure.
    def outward(block)
      ::Proc.new do |*chunk|
        sent = @outside = true; given = block.call(*chunk); @outside = false; given
      rescue *FAULT_UNLESS[sent]
        block.call(*chunk)
      end
    end

    def ended(name, error)
      away = @outside || (name == :call && GONE.any? { |kind| kind === error })
      @watch.body_failed(error) if error && !away && ENDS.include?(name)
      @watch.finish("close") if name == :close || (error && ENDS.include?(name))
    end
  end

  # The directory that all workers share, and its door for the proxy.
  class Shelf
    PATH = "/__stoker/profiles"
    ID = /\A[A-Za-z0-9._-]{1,128}\z/
    AGE_S = 600
    FILES = 200
    BYTES = 64 << 20
    LARGEST = 8 << 20
    LISTED = 100
    REMEMBERED = 20

    class << self
      def at?(env)
        path = env["PATH_INFO"]
        path&.start_with?(PATH) && [nil, "/"].include?(path[PATH.size])
      end

      # One for every app and port of this user: instances of an app on one machine do not show each other's.
      def usual(root)
        key = Digest::SHA256.hexdigest("#{root}\0#{ENV['PORT']}")[0, 12]
        File.join(Dir.tmpdir, "stoker-profiles-#{Process.euid}-#{key}")
      end
    end

    def initialize(directory, token, say)
      @directory = directory
      @token = token
      @say = say
      @lock = Mutex.new
      @remembered = {}
    end

    # Digests are compared, and all of them, so that the time tells nothing.
    def entitled?(given)
      return false unless @token && given

      Digest::SHA256.digest(given).bytes.zip(Digest::SHA256.digest(@token).bytes).sum { |a, b| a ^ b }.zero?
    end

    # Lays a document down, whole or not at all. What the disk refuses is kept by this worker, without its profile.
    def keep(id)
      text = written { |dropped| yield(dropped) }
      lay(id, text)
    rescue SystemCallError, IOError => error
      refused(error)
      remember(id, JSON.generate(yield("failed: #{error.class}")))
    end

    def call(env)
      return missing unless entitled?(env["HTTP_X_STOKER_TOKEN"])

      id = env["PATH_INFO"][PATH.size + 1..]
      case env["REQUEST_METHOD"]
      when "GET" then id ? fetched(id) : answer(200, JSON.generate(profiles: waiting))
      when "DELETE" then deleted(id.to_s)
      else missing
      end
    rescue StandardError
      missing
    end

    private

    def written
      text = JSON.generate(yield(nil), max_nesting: false)
      text.bytesize > LARGEST ? JSON.generate(yield("too large")) : text
    rescue JSON::JSONError, EncodingError => error
      JSON.generate(yield("failed: #{error.class}"))
    end

    def lay(id, text)
      open_directory
      make_room(text.bytesize)
      part = File.join(@directory, ".#{id}.#{Process.pid}.#{SecureRandom.hex(4)}")
      File.open(part, File::WRONLY | File::CREAT | File::EXCL, 0o600) { |file| file.write(text) }
      File.rename(part, ready(id))
    rescue SystemCallError, IOError
      File.unlink(part) if part && File.exist?(part)
      raise
    end

    # Nobody else may have put it there, or may put anything in.
    def open_directory
      FileUtils.mkdir_p(@directory, mode: 0o700)
      found = File.stat(@directory)
      ours = File.lstat(@directory).owned? && found.owned? && (found.mode & 0o022).zero?
      raise Errno::EPERM, "#{@directory} belongs to or can be written by others" unless ours
    end

    # The oldest go.
    def make_room(bytes)
      files = fresh.sort_by { |file| file[:age_s] }
      room = BYTES - bytes
      files.each_with_index do |file, index|
        room -= file[:size]
        File.unlink(file[:file]) if index >= FILES - 1 || room.negative?
      rescue Errno::ENOENT
        nil # another worker was quicker
      end
    end

    # Every file that is there, after those too old are gone.
    def fresh
      now = Time.now
      Dir.children(@directory).filter_map do |name|
        file = File.join(@directory, name)
        stat = File.lstat(file)
        age_s = now - stat.ctime # renaming counts: a claimed document lives on for as long
        age_s > AGE_S ? File.unlink(file) && nil : { file: file, name: name, size: stat.size, age_s: age_s.round(3) }
      rescue Errno::ENOENT
        nil
      end
    end

    def waiting
      laid = Dir.exist?(@directory) ? fresh : []
      laid = laid.filter_map { |file| file.slice(:size, :age_s).merge(id: file[:name][0...-5]) if file[:name].end_with?(".json") }
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      kept = @lock.synchronize { @remembered.map { |id, (text, at)| { id: id, size: text.bytesize, age_s: now - at } } }
      (laid + kept).sort_by { |one| -one[:age_s] }.first(LISTED)
    end

    def fetched(id)
      return missing unless ID.match?(id)

      File.rename(ready(id), claimed(id))
      answer(200, File.read(claimed(id)))
    rescue SystemCallError
      text, = @lock.synchronize { @remembered.delete(id) }
      text ? answer(200, text) : missing
    end

    def deleted(id)
      return missing unless ID.match?(id)

      @lock.synchronize { @remembered.delete(id) }
      FileUtils.rm_f([ready(id), claimed(id)])
      [204, {}, []]
    end

    def ready(id)
      File.join(@directory, "#{id}.json")
    end

    def claimed(id)
      File.join(@directory, "#{id}.claimed")
    end

    def remember(id, text)
      @lock.synchronize do
        @remembered[id] = [text, Process.clock_gettime(Process::CLOCK_MONOTONIC)]
        @remembered.shift while @remembered.size > REMEMBERED
      end
    end

    def refused(error)
      return if @refused

      @refused = true
      @say.call("no profile can be stored, only backtraces are kept: #{error.message}")
    end

    def answer(status, text, type = "application/json")
      [status, { "content-type" => type, "content-length" => text.bytesize.to_s, "cache-control" => "no-store" }, [text]]
    end

    def missing
      answer(404, "Not Found\n", "text/plain")
    end
  end

  # Foreign strings and stackprof's results, made fit for JSON.
  module Text
    class << self
      def clean(string, longest)
        text = string.to_s
        text = text.dup.force_encoding(Encoding::UTF_8) if [Encoding::BINARY, Encoding::US_ASCII].include?(text.encoding)
        text = text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
        text.length > longest ? "#{text[0, longest - 1]}…" : text
      end

      # Fit for JSON, and without what was taken before the start: stackprof keeps a sample that it had no time to record,
      # and gives it to the next profile. Nil where nothing is left.
      #
      # Frames are numbered in the order of their appearance: their ids are addresses of 15 digits, most of a document.
      def profile(results, started_us)
        moments = results[:raw_sample_timestamps] || []
        stale = moments.take_while { |moment| moment < started_us }.size
        numbers = Hash.new { |known, id| known[id] = known.size }
        places, raw = remaining(results[:raw] || [], stale, numbers)
        return if raw.empty?

        trimmed = results.merge(raw: raw, samples: results[:samples] - stale)
        trimmed[:raw_lines] = lines(results[:raw_lines], places, raw) if results[:raw_lines]
        %i[raw_sample_timestamps raw_timestamp_deltas].each { |key| trimmed[key] = results[key].drop(stale) if results[key] }
        trimmed.merge(frames: numbers.to_h { |id, number| [number, described(results[:frames][id])] })
      end

      private

      def described(frame)
        frame.merge(name: clean(frame[:name], 1000), file: clean(frame[:file], 1000))
      end

      # `raw` is [depth, that many frames, count] again and again; with it the places where its stacks stood.
      def remaining(raw, stale, numbers)
        places = []
        kept = []
        at = 0
        while at < raw.size
          last = at + raw[at] + 1
          count = raw[last] - stale
          stale = [-count, 0].max
          if count.positive?
            places << at
            kept << raw[at]
            (at + 1...last).each { |place| kept << numbers[raw[place]] }
            kept << count
          end
          at = last + 1
        end
        [places, kept]
      end

      # The same stacks of the lines, which have the shape of `raw`.
      def lines(all, places, raw)
        at = 0
        places.flat_map do |place|
          depth = raw[at]
          at += depth + 2
          [depth, *all[place + 1, depth], raw[at - 1]]
        end
      end
    end
  end
end
