"""What a command shows of what it waits for."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from views.cases import CONTOSO, failed

from rotator.commands.once import written
from rotator.commands.progress import Progress
from rotator.core.events import Looked, RequestFinished
from rotator.core.exchange import Exchange
from rotator.core.outcome import Failed, Outcome

NOW = datetime(2030, 1, 1, 0, 8, 15, tzinfo=UTC)


@dataclass
class Desk:
    """A progress with a clock that is set by hand."""

    now: datetime = NOW
    shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = Progress(self.shown.append, lambda: self.now)

    def answered(self, status: int | None, tenant: str = "contoso") -> str:
        """A request to *tenant* ends with *status*; the line after it."""
        exchange = Exchange(operation="list_keysets", client_request_id="c", status=status, seconds=1.0)
        self.progress.on_event(RequestFinished(tenant=tenant, tenant_id=CONTOSO, exchange=exchange))
        return self.shown[-1]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_progress_names_who_is_asked_and_which_try(desk: Desk) -> None:
    """The tenants that have not answered, how often each was asked, and how many have answered."""
    desk.progress.ask(["contoso", "fabrikam"])
    assert desk.shown[-1] == "asking contoso, fabrikam; 0 of 2 tenants answered"
    assert desk.answered(200) == "asking contoso, fabrikam; 0 of 2 tenants answered"
    assert desk.answered(503) == "asking contoso (try 2), fabrikam; 0 of 2 tenants answered"
    assert desk.answered(429) == "asking contoso (try 3), fabrikam; 0 of 2 tenants answered"
    assert desk.answered(None) == "asking contoso (try 4), fabrikam; 0 of 2 tenants answered"
    desk.progress.on_event(Looked(outcome=failed("no"), is_preliminary=False, failures=1))
    assert desk.shown[-1] == "asking fabrikam; 1 of 2 tenants answered"
    desk.progress.end()
    assert desk.shown[-1] == ""


def test_progress_names_only_some_of_many(desk: Desk) -> None:
    """A thousand tenants have room on a line."""
    desk.progress.ask(f"t{number}" for number in range(1000))
    assert desk.shown[-1] == "asking t0, t1, t2 and 997 more; 0 of 1000 tenants answered"


def test_progress_counts_down(desk: Desk) -> None:
    """When the next look is, and in how long; once it has begun, that it has."""
    desk.progress.wait("second look", NOW + timedelta(seconds=102))
    assert desk.shown[-1] == "second look at 00:09:57 UTC (in 1:42)"
    desk.now += timedelta(seconds=93)
    desk.progress.tick()
    assert desk.shown[-1] == "second look at 00:09:57 UTC (in 0:09)"
    desk.now += timedelta(hours=1)
    desk.progress.tick()
    assert desk.shown[-1] == "second look: under way"
    desk.progress.wait("next look", desk.now + timedelta(hours=1, seconds=5))
    assert desk.shown[-1].endswith("(in 1:00:05)")


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([], "stopped; nothing was written"),
        ([failed("no")], "stopped; nothing was written"),
    ],
)
def test_stop_says_what_was_written(outcomes: list[Outcome], said: str) -> None:
    """After a stop a person is reported whether anything was written."""
    assert written(outcomes) == said


def test_stop_says_what_may_have_been_written() -> None:
    """A key that was requested and not seen may exist."""
    from views.test_snapshots import CASES  # noqa: PLC0415 - the outcome of a rotation

    rotated = CASES["once"][0]
    assert written([rotated, rotated]) == "stopped; 2 keys generated"
    lost = Failed(observation=failed("no").observation, failure=failed("no").failure, spec=rotated.spec)  # type: ignore[union-attr]
    assert written([rotated, lost]) == "stopped; 1 key generated, 1 key requested that may exist: see the report"
