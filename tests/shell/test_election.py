"""The elector by its rules, on a clock that the tests move: no thread but one, no socket, and no time passes."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from waiting import wait_for

from rotator.core.errors import Failure, FailureKind, RequestError
from rotator.core.lease import (
    Acquired,
    ElectionEvent,
    Lease,
    LeaseRequestFailed,
    LeaseTimings,
    LossReason,
    Lost,
    Released,
    Renewed,
)
from rotator.shell.clock import SystemClock
from rotator.shell.election import FOLLOWER_POLL, Elector
from rotator.shell.leader_state import STEP_DOWN_COOLDOWN
from rotator.shell.lease_record import LEASE_REQUEST_TIMEOUT, RELEASED_DURATION

TIMINGS = LeaseTimings(lease_duration=60.0, renew_deadline=40.0, retry_period=10.0)
ME, OTHER = "pod-a_1", "pod-b_2"
PASSING = (FailureKind.TIMEOUT, FailureKind.NETWORK, FailureKind.SERVICE, FailureKind.THROTTLED, FailureKind.UNREADABLE)
MISSING = (FailureKind.AUTH, FailureKind.FORBIDDEN, FailureKind.NOT_FOUND)


class Clock:
    """Moved by hand; a call that reads the wall clock breaks rule 1."""

    is_stopping = False

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> datetime:
        raise AssertionError

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> bool:
        raise AssertionError(seconds)

    def sleep_uninterrupted(self, seconds: float) -> None:
        raise AssertionError(seconds)


Trick = Callable[[Callable[[], Lease], float], Lease]


class Api:
    """
    The record, as one replica reaches it.

    Each trick takes the place of one request: it gets what the request would do, and its timeout.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lease = Lease(holder="", duration=None, transitions=0, version="1")
        self.is_there = True
        self.asked: list[tuple[str, float, float]] = []
        self.tricks: deque[Trick] = deque()

    def read(self, timeout: float) -> Lease:
        return self._ask("read", timeout, self.get)

    def create(self, lease: Lease, timeout: float) -> Lease:
        return self._ask("create", timeout, lambda: self.post(lease))

    def write(self, lease: Lease, timeout: float) -> Lease:
        return self._ask("write", timeout, lambda: self.put(lease))

    def get(self) -> Lease:
        """As it is."""
        if not self.is_there:
            raise error(FailureKind.NOT_FOUND)
        return self.lease

    def post(self, lease: Lease) -> Lease:
        """Create it; its version is a new one."""
        if self.is_there:
            raise error(FailureKind.CONFLICT)
        self.is_there = True
        self.lease = replace(lease, version=str(int(self.lease.version) + 1))
        return self.lease

    def put(self, lease: Lease) -> Lease:
        """Replace it, by its version."""
        if not self.is_there or lease.version != self.lease.version:
            raise error(FailureKind.CONFLICT)
        self.lease = replace(lease, version=str(int(lease.version) + 1))
        return self.lease

    def edit(self, **members: object) -> None:
        """Somebody else replaces it."""
        self.put(replace(self.lease, **members))  # type: ignore[arg-type]

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _, _ in self.asked]

    def _ask(self, operation: str, timeout: float, do: Callable[[], Lease]) -> Lease:
        self.asked.append((operation, self.clock.time, timeout))
        return self.tricks.popleft()(do, timeout) if self.tricks else do()


def error(kind: FailureKind) -> RequestError:
    return RequestError(Failure(kind=kind, message=f"it is {kind}"))


class Replica:
    """An elector with a clock, an API and its own memory; its jitter is always 0.5."""

    def __init__(self, timings: LeaseTimings = TIMINGS, *, is_confirming: Callable[[], bool] = lambda: False) -> None:
        self.clock = Clock()
        self.api = Api(self.clock)
        self.news: list[ElectionEvent] = []
        self.bugs: list[Exception] = []
        self.elector = Elector(
            self.api,
            timings,
            identity=ME,
            clock=self.clock,
            jitter=lambda: 0.5,
            tell=self.news.append,
            on_bug=self.bugs.append,
            is_confirming=is_confirming,
        )

    def fails(self, kind: FailureKind) -> Trick:
        """A request that fails at once, and did nothing."""

        def trick(_: Callable[[], Lease], __: float) -> Lease:
            raise error(kind)

        return trick

    def hangs(self, *, done: bool = False) -> Trick:
        """A request whose answer does not come; *done*: it is carried out nevertheless."""

        def trick(do: Callable[[], Lease], timeout: float) -> Lease:
            if done:
                do()
            self.clock.time += timeout
            raise error(FailureKind.TIMEOUT)

        return trick

    def takes(self, seconds: float) -> Trick:
        """A request that is carried out at once, and answered after *seconds*."""

        def trick(do: Callable[[], Lease], _: float) -> Lease:
            answer = do()
            self.clock.time += seconds
            return answer

        return trick

    def leads(self) -> "Replica":
        """The replica, once it leads; *began* is the start of its last renewal."""
        assert self.elector.step() == 0.0
        assert self.elector.state.is_leading
        self.news.clear()
        self.api.asked.clear()
        return self

    def passes(self, seconds: float) -> None:
        """Let time pass, with every step at its time."""
        until = self.clock.time + seconds
        while True:
            wait = self.elector.step()
            if wait is None or (wait > 0 and self.clock.time + wait > until):
                break
            self.clock.time += wait
        self.clock.time = max(self.clock.time, until)

    @property
    def told(self) -> list[str]:
        return [type(news).__name__ for news in self.news]


@pytest.fixture
def replica() -> Replica:
    return Replica()


@pytest.fixture
def leader(replica: Replica) -> Replica:
    return replica.leads()


# --- rule 1: only the monotonic clock, and from when it was seen


@pytest.mark.parametrize(
    ("waited", "leads"),
    [
        pytest.param(59.999, False, id="just held"),
        pytest.param(60.0, True, id="lapses"),
        pytest.param(60.001, True, id="lapsed"),
    ],
)
def test_follow_times_from_when_it_was_seen(replica: Replica, *, waited: float, leads: bool) -> None:
    """A lease of another is taken once its duration has passed since the follower first saw that version of it."""
    replica.api.edit(holder=OTHER, duration=60.0)
    replica.elector.step()
    replica.clock.time += waited
    replica.elector.step()
    assert replica.elector.state.is_leading is leads


def test_follow_times_anew_after_each_change(replica: Replica) -> None:
    """Each change of the version starts the time again, whichever replica wrote it."""
    replica.api.edit(holder=OTHER, duration=60.0)
    for _ in range(5):
        replica.elector.step()
        replica.clock.time += 50
        replica.api.edit(holder=OTHER)
    replica.elector.step()
    assert not replica.elector.state.is_leading


def test_follow_times_from_the_answer(replica: Replica) -> None:
    """What an answer shows may be as young as the answer: an answer that took long begins the time when it is there."""
    replica.api.edit(holder=OTHER, duration=60.0)
    replica.api.tricks.append(replica.takes(4.0))
    replica.elector.step()
    replica.clock.time += 59.0  # 63 since it was asked
    replica.elector.step()
    assert not replica.elector.state.is_leading


def test_follow_goes_by_the_duration_of_the_holder(replica: Replica) -> None:
    """The duration in the record counts, because the holder uses it; if the record has none, rotator's own."""
    replica.api.edit(holder=OTHER, duration=100.0)
    replica.elector.step()
    replica.clock.time += 99
    replica.elector.step()
    assert not replica.elector.state.is_leading
    replica.api.edit(duration=None)
    replica.elector.step()
    replica.clock.time += 59
    replica.elector.step()
    assert not replica.elector.state.is_leading
    replica.clock.time += 1
    replica.elector.step()
    assert replica.elector.state.is_leading


def test_follow_takes_a_lease_that_nobody_holds(replica: Replica) -> None:
    """An empty lease, as it is shipped, is taken at the first look, and says who holds it and for how long."""
    replica.elector.step()
    assert [Acquired(identity=ME, before="")] == replica.news
    assert Lease(holder=ME, duration=60.0, transitions=1, version="2") == replica.api.lease


def test_follow_keeps_count_of_transitions(replica: Replica) -> None:
    """Whoever takes the lease from another counts one more."""
    replica.api.edit(holder=OTHER, duration=5.0, transitions=7)
    replica.elector.step()
    replica.clock.time += 5
    replica.elector.step()
    assert [Acquired(identity=ME, before=OTHER)] == replica.news
    assert replica.api.lease.transitions == 8


def test_follow_takes_within_duration_and_one_look(replica: Replica) -> None:
    """After the holder's last renewal it takes no longer than a look and the duration, however the looks fall."""
    replica.api.edit(holder=OTHER, duration=60.0)
    replica.passes(100.3)
    assert replica.elector.state.is_leading
    first = next(instant for operation, instant, _ in replica.api.asked if operation == "write")
    assert 1060.0 <= first <= 1060.0 + FOLLOWER_POLL


def test_follow_asks_about_thirty_times_a_minute(replica: Replica) -> None:
    """With the default timings a follower reads about every two seconds, as client-go's does."""
    replica.api.edit(holder=OTHER, duration=3600.0)
    replica.passes(600)
    assert 28 <= len(replica.api.asked) / 10 <= 34


@pytest.mark.parametrize(("draw", "wait"), [(0.0, 1.95), (0.5, 1.875), (0.999, 1.80015)])
def test_follow_does_not_look_in_step(draw: float, wait: float) -> None:
    """Each wait is a little shorter by chance, and none is so long that a hand-over would take two seconds."""
    replica = Replica()
    replica.elector._jitter = lambda: draw  # noqa: SLF001 - what it draws
    replica.api.edit(holder=OTHER, duration=60.0)
    assert replica.elector.step() == pytest.approx(wait)


@pytest.mark.parametrize(("retry", "longest"), [(10.0, FOLLOWER_POLL), (1.0, 1.0)])
def test_follow_looks_often(retry: float, longest: float) -> None:
    """A follower looks so often that a lease which was released is taken in under two seconds."""
    replica = Replica(replace(TIMINGS, retry_period=retry))
    replica.api.edit(holder=OTHER, duration=60.0)
    wait = replica.elector.step()
    assert wait is not None
    assert longest * 0.8 <= wait < longest
    assert wait < 2.0


# --- a record that is missing


def test_follow_creates_what_is_missing(replica: Replica) -> None:
    """If there is no record, the first one says who created it, and that is the leader."""
    replica.api.is_there = False
    replica.elector.step()
    assert [Acquired(identity=ME, before="")] == replica.news
    assert Lease(holder=ME, duration=60.0, transitions=1, version="2") == replica.api.lease
    replica.passes(30)
    assert set(replica.api.operations) == {"read", "create", "write"}
    assert replica.elector.state.is_leading


def test_follow_where_another_created_it(replica: Replica) -> None:
    """If two replicas create it at once, one gets a 409: that is not a failure, and it soon knows whom to follow."""
    replica.api.is_there = False

    def trick(do: Callable[[], Lease], _: float) -> Lease:
        replica.api.post(Lease(holder=OTHER, duration=60.0, transitions=1, version=""))
        return do()

    replica.api.tricks.extend((lambda do, _: do(), trick))
    wait = replica.elector.step()
    assert wait is not None
    assert (wait <= FOLLOWER_POLL, replica.news, replica.bugs) == (True, [], [])
    replica.elector.step()
    assert replica.elector.state.leader() == OTHER


def test_follow_after_a_lost_answer_to_a_creation(replica: Replica) -> None:
    """Who created the record and did not hear of it finds itself as its holder."""
    replica.api.is_there = False
    replica.api.tricks.extend((lambda do, _: do(), replica.hangs(done=True)))
    replica.elector.step()
    assert not replica.elector.state.is_leading
    replica.elector.step()
    assert replica.elector.state.is_leading
    assert replica.api.operations == ["read", "create", "read", "write"]


def test_stop_after_a_lost_answer_to_a_creation(replica: Replica) -> None:
    """What may have been created with its name is handed back at the end."""
    replica.api.is_there = False
    replica.api.tricks.extend((lambda do, _: do(), replica.hangs(done=True)))
    replica.elector.step()
    replica.elector.state.stop()
    assert replica.elector.step() is None
    assert replica.api.lease.holder == ""


@pytest.mark.parametrize("holder", [OTHER, ""])
def test_follow_what_was_deleted(replica: Replica, holder: str) -> None:
    """A record that was there counts as held for a whole duration after it was missed: its holder may still lead."""
    replica.api.edit(holder=holder, duration=60.0)
    if holder:
        replica.elector.step()
    else:  # read as free, and taken by another before it could be claimed
        replica.api.tricks.extend((lambda do, _: do(), replica.fails(FailureKind.CONFLICT)))
        replica.elector.step()
    replica.clock.time += 300  # cut off meanwhile
    replica.api.is_there = False
    missed = replica.clock.time
    replica.passes(59)
    assert "create" not in replica.api.operations
    replica.passes(2)
    assert replica.elector.state.is_leading
    created = next(instant for operation, instant, _ in replica.api.asked if operation == "create")
    assert missed + 60 <= created <= missed + 60 + FOLLOWER_POLL


def test_lead_without_a_record(leader: Replica) -> None:
    """A leader whose record was deleted stops at its next renewal, tells so, and stands again later."""
    leader.api.is_there = False
    leader.passes(10)
    assert leader.told[:3] == ["Lost", "LeaseRequestFailed", "Released"]
    assert leader.news[0] == Lost(identity=ME, reason=LossReason.TAKEN)
    leader.passes(75)
    assert leader.elector.state.is_leading


# --- rule 2: the deadline is hard


@pytest.mark.parametrize(
    ("passed", "leads"),
    [
        pytest.param(39.999, True, id="before"),
        pytest.param(40.0, False, id="at"),
        pytest.param(40.001, False, id="after"),
    ],
)
def test_lead_until_the_deadline(leader: Replica, *, passed: float, leads: bool) -> None:
    """It leads until renew_deadline after the start of its last renewal, and not an instant longer, asked or not."""
    leader.clock.time += passed
    assert leader.elector.state.is_leading is leads
    leader.api.tricks.append(leader.fails(FailureKind.NETWORK))
    leader.elector.step()
    assert (Lost(identity=ME, reason=LossReason.DEADLINE) in leader.news) is not leads


def test_lead_counts_from_the_start_of_a_renewal(leader: Replica) -> None:
    """A renewal that took four seconds is as old as its start."""
    leader.clock.time += 10
    leader.api.tricks.append(leader.takes(4.0))
    leader.elector.step()
    leader.clock.time = 1010.0 + 39.9
    assert leader.elector.state.is_leading
    leader.clock.time = 1010.0 + 40.0
    assert not leader.elector.state.is_leading


def test_lead_counts_from_the_start_of_taking_it(replica: Replica) -> None:
    """So is taking the lease."""
    replica.api.tricks.extend((replica.takes(0.0), replica.takes(4.0)))
    replica.elector.step()
    replica.clock.time = 1000.0 + 40.0
    assert not replica.elector.state.is_leading


def test_lead_renews_in_time(leader: Replica) -> None:
    """It renews at least every retry_period, with one request each, and leads while that goes well."""
    leader.passes(1000)
    instants = [instant for _, instant, _ in leader.api.asked]
    assert {"write"} == set(leader.api.operations)
    assert max(b - a for a, b in zip([1000.0, *instants], instants, strict=False)) < 10.0
    assert leader.elector.state.is_leading
    assert {"Renewed"} == set(leader.told)
    assert leader.api.lease.transitions == 1


@pytest.mark.parametrize("kind", [*PASSING, *MISSING])
def test_lead_survives_a_renewal_that_failed(leader: Replica, kind: FailureKind) -> None:
    """One failure, of whatever kind, is one renewal less, and no end; the next one reads before it writes."""
    leader.clock.time += 10
    leader.api.tricks.append(leader.fails(kind))
    leader.passes(15)
    assert leader.api.operations[:3] == ["write", "read", "write"]
    assert leader.told[:2] == ["LeaseRequestFailed", "Renewed"]
    assert leader.elector.state.is_leading


@pytest.mark.parametrize("kind", [*PASSING, *MISSING])
def test_lead_ends_where_every_renewal_fails(leader: Replica, kind: FailureKind) -> None:
    """Failures of whatever kind end it at the deadline."""
    leader.api.tricks.extend([leader.fails(kind)] * 50)
    leader.passes(40.5)
    assert Lost(identity=ME, reason=LossReason.DEADLINE) in leader.news
    assert not leader.elector.state.is_leading


@pytest.mark.parametrize("deadline", [36.0, 37.5, 40.0])
def test_lead_requests_end_before_the_deadline(deadline: float) -> None:
    """Every request has a timeout inside the deadline, and there are several tries before it, though each one hangs."""
    leader = Replica(replace(TIMINGS, renew_deadline=deadline)).leads()
    leader.api.tricks.extend([leader.hangs()] * 50)
    leader.passes(deadline - 0.1)
    tries = [(instant, timeout) for _, instant, timeout in leader.api.asked if instant < 1000.0 + deadline]
    assert len(tries) >= 3
    assert all(
        0 < timeout <= LEASE_REQUEST_TIMEOUT and instant + timeout <= 1000.0 + deadline for instant, timeout in tries
    )


@pytest.mark.parametrize("seconds", [5.0, 6.0])
def test_lead_a_renewal_that_is_answered_too_late(leader: Replica, seconds: float) -> None:
    """A process that was frozen over its deadline leads no more, though its renewal came through; it hands back."""
    leader.clock.time += 35
    leader.api.tricks.append(leader.takes(seconds))
    leader.passes(0)
    assert [Lost(identity=ME, reason=LossReason.DEADLINE), Released(identity=ME, was_handed_over=True)] == leader.news
    assert leader.api.lease.holder == ""


def test_lead_ends_at_a_conflict(leader: Replica) -> None:
    """A 409 ends it at once: another process has changed the record."""
    leader.clock.time += 10
    leader.api.edit(duration=60.0)
    leader.elector.step()
    assert [Lost(identity=ME, reason=LossReason.TAKEN)] == leader.news
    assert not leader.elector.state.is_leading


def test_lead_ends_where_another_holds_it(leader: Replica) -> None:
    """Where a renewal failed and then another holds the lease, it ends at once, and nothing is written."""
    leader.clock.time += 10
    leader.api.tricks.append(leader.fails(FailureKind.NETWORK))
    leader.elector.step()
    leader.api.edit(holder=OTHER)
    leader.clock.time += 10
    leader.passes(0)
    assert leader.told == ["LeaseRequestFailed", "Lost", "Released"]
    assert Lost(identity=ME, reason=LossReason.TAKEN) in leader.news
    assert leader.api.operations == ["write", "read", "read"]
    assert leader.api.lease.holder == OTHER


def test_lead_ends_where_somebody_edits_the_record(leader: Replica) -> None:
    """If no replica has changed the record (but its labels, say) the lead ends as well, and is handed back."""
    leader.clock.time += 9
    leader.api.edit()
    leader.passes(1)
    assert [Lost(identity=ME, reason=LossReason.TAKEN), Released(identity=ME, was_handed_over=True)] == leader.news[:2]


def test_stop_after_a_claim_whose_answer_was_lost(replica: Replica) -> None:
    """What may have been claimed is handed back at the end, so that nobody has to wait for it to lapse."""
    replica.api.tricks.extend((replica.takes(0), replica.hangs(done=True)))
    replica.elector.step()
    assert replica.api.lease.holder == ME
    replica.elector.state.stop()
    replica.passes(0)
    assert replica.api.lease.holder == ""


# --- rule 3: writes, and handing over


@pytest.mark.parametrize(
    ("passed", "allowed"),
    [
        pytest.param(9.999, True, id="longer"),
        pytest.param(10.0, False, id="as long"),
        pytest.param(11, False, id="less"),
    ],
)
def test_begin_write_needs_time(leader: Replica, *, passed: float, allowed: bool) -> None:
    """A write begins only where more time is left than it can take."""
    leader.clock.time += passed
    assert leader.elector.state.begin_write(30.0) is allowed


def test_begin_write_of_a_follower(replica: Replica) -> None:
    """Who does not lead does not write."""
    replica.api.edit(holder=OTHER, duration=60.0)
    replica.elector.step()
    assert not replica.elector.state.begin_write(0.0)


@pytest.mark.parametrize("seen", [False, True], ids=["not yet seen", "seen"])
def test_begin_write_after_stop(leader: Replica, *, seen: bool) -> None:
    """Nothing begins once it was asked to stop, whether the elector's thread has come to it or not."""
    leader.elector.state.stop()
    if seen:
        leader.elector.step()
    assert not leader.elector.state.begin_write(1.0)


def test_stop_hands_over_at_once(leader: Replica) -> None:
    """If nothing is under way, the lease is released with the next step: nobody holds it, transitions are kept."""
    leader.elector.state.stop()
    leader.passes(0)
    assert [Lost(identity=ME, reason=LossReason.STOPPING), Released(identity=ME, was_handed_over=True)] == leader.news
    assert Lease(holder="", duration=RELEASED_DURATION, transitions=1, version="3") == leader.api.lease
    assert leader.elector.step() is None


def test_stop_needs_one_request(leader: Replica) -> None:
    """A record that is ours beyond doubt is handed back without a look, and then all is done."""
    leader.elector.state.stop()
    assert (leader.elector.step(), leader.elector.step()) == (0.0, None)
    assert leader.api.operations == ["write"]


def test_stop_waits_for_the_write(leader: Replica) -> None:
    """While a write is under way the lease is kept, and renewed beyond every deadline; then it is released."""
    assert leader.elector.state.begin_write(30.0)
    leader.elector.state.stop()
    leader.passes(100)
    assert leader.api.lease.holder == ME
    assert leader.told.count("Renewed") > 8
    assert "Released" not in leader.told
    leader.elector.state.end_write()
    leader.passes(0)
    assert leader.news[-1] == Released(identity=ME, was_handed_over=True)
    assert leader.api.lease.holder == ""


def test_stop_renews_no_sooner_for_a_write(leader: Replica) -> None:
    """A lease that is kept for a write is renewed when it is time, and not because of the stop."""
    assert leader.elector.state.begin_write(30.0)
    leader.elector.state.stop()
    leader.passes(7.9)
    assert leader.api.asked == []


def test_stop_waits_for_every_write(leader: Replica) -> None:
    """Writes are distinguished by their threads: the end of one is not that of another."""
    assert leader.elector.state.begin_write(30.0)
    other = threading.Thread(target=lambda: leader.elector.state.begin_write(30.0))
    other.start()
    other.join()
    leader.elector.state.stop()
    leader.elector.state.end_write()
    leader.passes(30)
    assert leader.api.lease.holder == ME


def test_stop_while_another_takes_it(leader: Replica) -> None:
    """Where the lease is lost while the last write ends, it is nobody's business to release it."""
    assert leader.elector.state.begin_write(30.0)
    leader.elector.state.stop()
    leader.elector.step()
    leader.api.edit(holder=OTHER)
    leader.clock.time += 10
    leader.elector.step()
    leader.elector.step()
    leader.elector.state.end_write()
    leader.passes(0)
    assert leader.news[-1] == Released(identity=ME, was_handed_over=False)
    assert leader.api.lease.holder == OTHER


def test_stop_of_a_former_leader_whose_claim_is_in_doubt(leader: Replica) -> None:
    """What a former term knew of the record counts for nothing when a later claim is handed back."""
    leader.clock.time += 40
    leader.passes(0)
    leader.clock.time += 10
    leader.api.tricks.extend((leader.takes(0), leader.hangs(done=True)))
    leader.elector.step()
    assert leader.api.lease.holder == ME
    leader.elector.state.stop()
    leader.passes(0)
    assert leader.api.lease.holder == ""


def test_step_down_lets_another_lead(leader: Replica) -> None:
    """A leader that steps down releases the lease at once, and follows the next leader."""
    leader.elector.state.step_down()
    assert not leader.elector.state.begin_write(1.0)
    leader.passes(0)
    assert [Lost(identity=ME, reason=LossReason.CLOCK), Released(identity=ME, was_handed_over=True)] == leader.news
    assert leader.api.lease.holder == ""
    leader.api.edit(holder=OTHER, duration=60.0)
    leader.passes(30)
    assert (leader.told.count("Acquired"), leader.elector.state.leader()) == (0, OTHER)


def test_step_down_where_there_is_nobody_else(leader: Replica) -> None:
    """The lease that nobody wanted is taken again after a retry period, and kept for ten minutes whatever is asked."""
    leader.elector.state.step_down()
    waits = [leader.elector.step() for _ in range(2)]
    assert waits[0] == 0
    assert TIMINGS.retry_period * 0.8 <= (waits[1] or 0) <= TIMINGS.retry_period
    leader.clock.time += TIMINGS.retry_period
    leader.passes(0)
    assert leader.told == ["Lost", "Released", "Acquired"]
    leader.passes(STEP_DOWN_COOLDOWN - TIMINGS.retry_period - 1)
    leader.elector.state.step_down()
    leader.passes(0)
    assert "Lost" not in leader.told[3:]
    leader.passes(1)
    leader.elector.state.step_down()
    leader.passes(0)
    assert leader.news[-2:] == [Lost(identity=ME, reason=LossReason.CLOCK), Released(identity=ME, was_handed_over=True)]


def test_step_down_waits_for_the_write(leader: Replica) -> None:
    """While a write is under way the lease is kept, and renewed."""
    assert leader.elector.state.begin_write(30.0)
    leader.elector.state.step_down()
    leader.passes(100)
    assert (leader.api.lease.holder, "Released" in leader.told) == (ME, False)
    leader.elector.state.end_write()
    leader.passes(0)
    assert (leader.news[-1], leader.api.lease.holder) == (Released(identity=ME, was_handed_over=True), "")


def test_step_down_of_a_follower(replica: Replica) -> None:
    """Who does not lead has nothing to hand over, and is not the less fit to lead later."""
    replica.api.edit(holder=OTHER, duration=60.0)
    replica.elector.step()
    replica.elector.state.step_down()
    replica.api.edit(holder="")
    replica.passes(FOLLOWER_POLL)
    assert replica.elector.state.is_leading


def test_step_down_waits_for_confirmation() -> None:
    """A generated key that is not confirmed keeps the lease; once it is confirmed, the lease is released at once."""
    confirming = [True]
    replica = Replica(is_confirming=lambda: bool(confirming)).leads()
    replica.elector.state.step_down()
    replica.passes(100)
    assert (replica.api.lease.holder, "Released" in replica.told) == (ME, False)
    replica.elector.state.wait(0.0)
    confirming.clear()
    replica.elector.state.on_confirmed()
    assert replica.elector.state.wait(0.0)
    replica.passes(0)
    assert (replica.news[-1], replica.api.lease.holder) == (Released(identity=ME, was_handed_over=True), "")


def test_confirmation_wakes_no_leader(leader: Replica) -> None:
    """A leader has nothing to finish: its thread goes on waiting for the next renewal."""
    leader.elector.state.on_confirmed()
    assert not leader.elector.state.wait(0.0)


def test_deadline_waits_for_the_write(leader: Replica) -> None:
    """After the deadline, too, nothing is released before the write has ended; nor is anything renewed."""
    assert leader.elector.state.begin_write(30.0)
    leader.api.tricks.extend([leader.fails(FailureKind.NETWORK)] * 5)
    leader.passes(41)
    leader.api.tricks.clear()
    before = len(leader.api.asked)
    leader.passes(30)
    assert len(leader.api.asked) == before
    leader.elector.state.end_write()
    leader.elector.step()
    assert leader.news[-1] == Released(identity=ME, was_handed_over=True)
    assert leader.api.lease.holder == ""


def test_deadline_releases_only_what_is_ours(leader: Replica) -> None:
    """If another has the lease by then, it stays the other's."""
    leader.api.tricks.extend([leader.fails(FailureKind.NETWORK)] * 5)
    leader.passes(39)
    leader.api.tricks.clear()
    leader.api.edit(holder=OTHER)
    leader.clock.time += 1.0
    leader.elector.step()
    leader.elector.step()
    assert leader.news[-1] == Released(identity=ME, was_handed_over=False)
    assert leader.api.lease.holder == OTHER


def test_deadline_lets_others_try_first(leader: Replica) -> None:
    """Who could not renew in time waits a while before it stands again, and then may."""
    leader.clock.time += 40
    assert leader.elector.step() == 0.0
    wait = leader.elector.step()
    assert leader.news == [Lost(identity=ME, reason=LossReason.DEADLINE), Released(identity=ME, was_handed_over=True)]
    assert wait is not None
    assert wait >= 8.0
    leader.clock.time += wait
    leader.elector.step()
    assert leader.elector.state.is_leading


@pytest.mark.parametrize("done", [False, True])
def test_release_that_fails(leader: Replica, *, done: bool) -> None:
    """A release is tried once: a process that is to end does not wait for the API, and the lease lapses by itself."""
    leader.elector.state.stop()
    leader.api.tricks.append(leader.hangs(done=done))
    leader.passes(20)
    assert leader.told == ["Lost", "LeaseRequestFailed", "Released"]
    assert leader.news[-1] == Released(identity=ME, was_handed_over=False)
    assert len(leader.api.asked) == 1
    assert leader.elector.step() is None


def test_release_in_doubt(leader: Replica) -> None:
    """Where the last renewal's answer was lost, the lease is read, and released if it is still ours."""
    leader.clock.time += 10
    leader.api.tricks.append(leader.hangs(done=True))
    leader.elector.step()
    leader.elector.state.stop()
    leader.passes(0)
    assert leader.api.operations == ["write", "read", "write"]
    assert leader.api.lease.holder == ""


# --- rule 5: by the version, and after a lost answer by looking


def test_lead_after_a_lost_answer(leader: Replica) -> None:
    """A renewal whose answer was lost does not count as another holder's: it goes on with the new version."""
    leader.clock.time += 10
    leader.api.tricks.append(leader.hangs(done=True))
    leader.passes(20)
    assert leader.api.operations[:3] == ["write", "read", "write"]
    assert leader.told[:2] == ["LeaseRequestFailed", "Renewed"]


def test_follow_after_a_lost_answer(replica: Replica) -> None:
    """Who took the lease and did not hear of it finds itself as its holder, and leads from the renewal on."""
    replica.api.tricks.extend((replica.takes(0), replica.hangs(done=True)))
    replica.elector.step()
    assert not replica.elector.state.is_leading
    replica.clock.time += 30
    began = replica.clock.time
    replica.elector.step()
    assert replica.elector.state.is_leading
    replica.clock.time = began + 39.9
    assert replica.elector.state.is_leading
    assert replica.api.lease.transitions == 1


def test_follow_where_another_was_faster(replica: Replica) -> None:
    """A 409 while taking the lease is not a failure: it goes on following, and soon knows whom."""

    def trick(do: Callable[[], Lease], _: float) -> Lease:
        seen = do()
        replica.api.edit(holder=OTHER, duration=60.0)
        return seen

    replica.api.tricks.append(trick)
    wait = replica.elector.step()
    assert wait is not None
    assert wait < FOLLOWER_POLL
    assert replica.news == []
    replica.elector.step()
    assert replica.elector.state.leader() == OTHER


# --- what is told, and what is asked of it


REFUSED = Failure(kind=FailureKind.FORBIDDEN, status=403, message="refused", if_it_lasts="add a rule")


def test_advice_comes_where_a_refusal_lasts(replica: Replica) -> None:
    """
    What most often passes by itself is told without advice, and with it once it has lasted for longer than a lease.

    An API server that has just started refuses good tokens for seconds.
    """

    def refuse(_: Callable[[], Lease], __: float) -> Lease:
        raise RequestError(REFUSED)

    replica.api.tricks.extend([refuse] * 20)
    replica.passes(100)
    failures = [news for news in replica.news if isinstance(news, LeaseRequestFailed)]
    fresh = [news for news in failures if not news.is_repeated]
    assert [news.failure.message for news in fresh] == ["refused", "add a rule"]
    assert [news.failure.message for news in failures[:8]] == ["refused"] * 8, "60 s, at 8.5 s each"
    assert {news.failure.message for news in failures[8:]} == {"add a rule"}


def test_advice_does_not_come_where_a_refusal_passes(replica: Replica) -> None:
    """A refusal that comes again after it has passed has not lasted."""

    def refuse(_: Callable[[], Lease], __: float) -> Lease:
        raise RequestError(REFUSED)

    replica.api.edit(holder=OTHER, duration=3600.0)
    for _ in range(12):
        replica.api.tricks.append(refuse)
        replica.passes(12)
    failures = [news for news in replica.news if isinstance(news, LeaseRequestFailed)]
    assert [(news.failure.message, news.is_repeated) for news in failures] == [("refused", False)] * 12


@pytest.mark.parametrize("kind", [FailureKind.AUTH, FailureKind.FORBIDDEN])
def test_follow_without_permission(replica: Replica, kind: FailureKind) -> None:
    """Where a rule is missing it stays a follower, tells it once, and leads once the rule is there."""
    replica.api.tricks.extend([replica.fails(kind)] * 4)
    replica.passes(30)
    troubles = [news for news in replica.news if isinstance(news, LeaseRequestFailed)]
    assert [trouble.is_repeated for trouble in troubles] == [False, True, True, True]
    assert replica.elector.state.has_followed
    replica.passes(10)
    assert replica.elector.state.is_leading


def test_trouble_is_told_anew_after_success(leader: Replica) -> None:
    """What fails again after it has worked, or in another way, is news."""
    for kind in (FailureKind.NETWORK, FailureKind.SERVICE):
        leader.clock.time += 10
        leader.api.tricks.append(leader.fails(kind))
        leader.elector.step()
    leader.passes(10)
    leader.api.tricks.append(leader.fails(FailureKind.SERVICE))
    leader.passes(10)
    assert [news.is_repeated for news in leader.news if isinstance(news, LeaseRequestFailed)] == [False, False, False]


def test_leader_as_it_is_known(replica: Replica) -> None:
    """Nobody before the first look, then the holder, then itself, and nobody once that is over."""
    assert (replica.elector.state.leader(), replica.elector.state.has_followed) == (None, False)
    replica.api.edit(holder=OTHER, duration=60.0)
    replica.elector.step()
    assert (replica.elector.state.leader(), replica.elector.state.has_followed) == (OTHER, True)
    replica.api.edit(holder="")
    replica.elector.step()
    assert replica.elector.state.leader() == ME
    replica.elector.state.stop()
    replica.passes(0)
    assert replica.elector.state.leader() is None


def test_first_leader_has_not_followed(replica: Replica) -> None:
    """Who leads from its first look on has not followed: it is ready once it has swept."""
    replica.leads()
    assert not replica.elector.state.has_followed


def test_former_leader_has_followed(leader: Replica) -> None:
    """Who leads no more knows that, though it has seen no other leader yet."""
    leader.clock.time += 40
    leader.passes(0)
    assert leader.elector.state.has_followed


def test_stop_of_a_follower(replica: Replica) -> None:
    """A follower that is to stop asks nothing any more."""
    replica.api.edit(holder=OTHER, duration=60.0)
    replica.elector.step()
    replica.elector.state.stop()
    before = len(replica.api.asked)
    assert replica.elector.step() is None
    assert len(replica.api.asked) == before


def test_stop_of_a_former_leader(leader: Replica) -> None:
    """Who has handed its lease over asks nothing any more, either."""
    leader.clock.time += 40
    leader.elector.step()
    leader.elector.step()
    assert leader.told == ["Lost", "Released"]
    before = len(leader.api.asked)
    leader.elector.state.stop()
    assert leader.elector.step() is None
    assert len(leader.api.asked) == before


# --- its thread


def run(elector: Elector) -> threading.Thread:
    thread = threading.Thread(target=elector.run, daemon=True)
    thread.start()
    return thread


def test_run_is_woken() -> None:
    """Neither the wish to stop nor the end of a write waits for the next step."""
    replica = Replica(LeaseTimings(lease_duration=6000.0, renew_deadline=4000.0, retry_period=1000.0))
    elector = replica.elector
    thread = run(elector)
    wait_for(lambda: elector.state.is_leading)
    assert elector.state.begin_write(1.0)
    elector.state.stop()
    wait_for(lambda: "Lost" in replica.told)
    assert thread.is_alive()
    elector.state.end_write()
    thread.join(20)
    assert not thread.is_alive()
    assert replica.news[-1] == Released(identity=ME, was_handed_over=True)


def test_run_looks_at_once() -> None:
    """A new follower does not wait before its first read."""
    replica = Replica(LeaseTimings(lease_duration=6000.0, renew_deadline=4000.0, retry_period=1000.0))
    thread = run(replica.elector)
    wait_for(lambda: replica.api.asked)
    replica.elector.state.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_run_waits_between_steps(replica: Replica) -> None:
    """A follower reads the record, and not again before the next poll."""
    replica.api.edit(holder=OTHER, duration=60.0)
    thread = run(replica.elector)
    wait_for(lambda: replica.api.asked)
    SystemClock().sleep(0.2)
    replica.elector.state.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert len(replica.api.asked) < 5


def test_run_waits_after_a_bug(replica: Replica) -> None:
    """A bug that is always there is met once in a retry period."""

    def trick(_: Callable[[], Lease], __: float) -> Lease:
        raise IndexError

    replica.api.tricks.extend([trick] * 10_000)
    thread = run(replica.elector)
    wait_for(lambda: replica.bugs)
    SystemClock().sleep(0.2)
    replica.elector.state.stop()
    thread.join(20)
    assert (thread.is_alive(), len(replica.bugs)) == (False, 1)


def test_run_survives_a_bug() -> None:
    """An error that is not a `RequestError` is reported, and the thread continues."""
    replica = Replica(LeaseTimings(lease_duration=0.3, renew_deadline=0.2, retry_period=0.01))

    def trick(_: Callable[[], Lease], __: float) -> Lease:
        raise IndexError

    replica.api.tricks.append(trick)
    thread = run(replica.elector)
    wait_for(lambda: replica.elector.state.is_leading)
    assert [type(bug).__name__ for bug in replica.bugs] == ["IndexError"]
    replica.elector.state.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_end_of_a_term_whose_hearer_has_a_bug(leader: Replica) -> None:
    """No write begins after the end of a term, whatever the consumers of events do."""

    def tell(news: ElectionEvent) -> None:
        raise ValueError(news)

    leader.elector._tell = tell  # noqa: SLF001 - a hearer that fails from now on
    leader.clock.time += 40
    with pytest.raises(ValueError, match="Lost"):
        leader.elector.step()
    assert not leader.elector.state.begin_write(0.0)


def test_renewed_is_told(leader: Replica) -> None:
    """Each renewal is an event."""
    leader.clock.time += 10
    leader.elector.step()
    assert [Renewed()] == leader.news
