"""When the process must have ended after a stop was requested."""

import threading

import pytest
from waiting import wait_for

from rotator.service import stop
from rotator.service.stop import MAX_STOP, StopGuard, latest_end


@pytest.mark.parametrize(
    ("idle_at", "end"),
    [
        pytest.param(100.0, 110.0, id="nothing was under way"),
        pytest.param(107.0, 117.0, id="a request ended"),
        pytest.param(None, 140.0, id="a request is under way for as long as it may be"),
        pytest.param(150.0, 140.0, id="something else than a request hangs"),
    ],
)
def test_latest_end(idle_at: float | None, end: float) -> None:
    """Ten seconds after the end of what was under way, which is at most one request."""
    assert latest_end(100.0, idle_at, 30.0) == end


class Rig:
    """A guard on its own clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stop, "POLL", 0.001)
        self.now = 0.0
        self.looked = 0
        self.is_visiting = True
        self.overdue = threading.Event()
        self.guard = StopGuard(
            is_visiting=self._visiting,
            max_request_seconds=lambda: 30.0,
            on_overdue=self.overdue.set,
            monotonic=lambda: self.now,
        )
        self.guard.start()

    def _visiting(self) -> bool:
        self.looked += 1
        return self.is_visiting

    def settle(self) -> None:
        """Let the guard look at what is under way as it is now."""
        before = self.looked
        wait_for(lambda: self.looked > before + 1)


def test_stop_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends when the time is over after the last request has ended, and not before."""
    rig = Rig(monkeypatch)
    rig.guard.on_stop()
    rig.settle()
    rig.now = 7.0
    rig.settle()
    rig.is_visiting = False
    before = rig.looked
    wait_for(lambda: rig.looked > before)
    rig.now = 7.0 + MAX_STOP - 0.1
    assert not rig.overdue.wait(0.1)
    rig.now = 7.0 + MAX_STOP
    assert rig.overdue.wait(20)


def test_stop_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that has ended in time is left alone, as is one that nobody asks to stop."""
    rig = Rig(monkeypatch)
    rig.now = 1e6
    assert not rig.overdue.wait(0.05)
    rig.guard.on_stop()
    rig.settle()
    rig.guard.on_ended()
    rig.now = 2e6
    assert not rig.overdue.wait(0.1)
