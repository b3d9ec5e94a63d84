# frozen_string_literal: true

workers Integer(ENV.fetch("WEB_CONCURRENCY", 2))
threads 4, 4
bind "tcp://127.0.0.1:#{ENV.fetch('PORT', 3000)}"
silence_single_worker_warning if respond_to?(:silence_single_worker_warning)
