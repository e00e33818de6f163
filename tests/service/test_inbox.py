import signal
import subprocess
import sys
import time
from datetime import timedelta

from rotator.service.inbox import FilesDue, Inbox, ReloadAsked, StopAsked

CHILD = """
from rotator.service.inbox import Inbox, ReloadAsked, StopAsked, heed_signals
inbox, reloads = Inbox(), 0
heed_signals(lambda: inbox.put(StopAsked()), lambda: inbox.put_once(ReloadAsked()))
print("ready", flush=True)
while not isinstance(inbox.get(), StopAsked):
    reloads += 1
print(reloads, flush=True)
"""
SIGNALS = 500
PAUSE = timedelta(milliseconds=0.5)


def test_stop_is_heard_after_many_signals() -> None:
    """Signals that come faster than they are read keep no stop from being heard, and nothing is written of them."""
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            for _ in range(SIGNALS):
                child.send_signal(signal.SIGHUP)
                time.sleep(PAUSE.total_seconds())
            child.send_signal(signal.SIGTERM)
            out, err = child.communicate(timeout=30)
        finally:
            child.kill()
    assert (child.returncode, err) == (0, "")
    assert 1 <= int(out) <= SIGNALS


def test_same_request_waits_once() -> None:
    """What is requested already is not requested again before it was begun; other requests are."""
    inbox = Inbox()
    for _ in range(3):
        inbox.put_once(ReloadAsked())
        inbox.put_once(FilesDue())
    assert list(inbox.pending()) == [ReloadAsked(), FilesDue()]
    inbox.put_once(ReloadAsked())
    assert inbox.get() == ReloadAsked()
    inbox.put_once(ReloadAsked())
    assert list(inbox.pending()) == [ReloadAsked()]


def test_each_request_waits_that_is_put() -> None:
    """What is put comes in turn, as often as it was put; reading what is there waits for nothing."""
    inbox = Inbox()
    for request in (StopAsked(), ReloadAsked(), StopAsked()):
        inbox.put(request)
    assert list(inbox.pending()) == [StopAsked(), ReloadAsked(), StopAsked()]
    assert list(inbox.pending()) == []
