from __future__ import annotations

import os
import signal
import subprocess
import sys

from stoker.signals import Signals


def test_signals_queue_up_until_they_are_waited_for() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert [signal.SIGTERM] == signals.wait(5.0)
        assert [] == signals.wait(0.0)


def test_the_end_of_a_child_wakes_without_a_signal_to_act_on() -> None:
    with Signals() as signals:
        child = subprocess.Popen([sys.executable, "-c", ""])
        assert [] == signals.wait(10.0)
        assert child.wait() == 0


def test_the_handlers_from_before_are_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Signals():
        assert before != signal.getsignal(signal.SIGINT)
    assert before == signal.getsignal(signal.SIGINT)
