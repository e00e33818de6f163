from rotator.core.events import Event, JobFailed, TokenRequested
from rotator.shell.stream import Stream

EVENT = TokenRequested(tenant="contoso", is_granted=True)
BUG = ZeroDivisionError("a bug in a consumer")


def _fail(event: Event) -> None:
    """Fail at every event."""
    del event
    raise BUG


def test_each_consumer_gets_each_event_in_turn() -> None:
    """Every consumer gets every event, in the order in which they were added."""
    heard: list[tuple[str, Event]] = []
    stream = Stream()
    stream.add(lambda event: heard.append(("first", event)))
    stream.add(lambda event: heard.append(("second", event)))
    stream.tell(EVENT)
    assert heard == [("first", EVENT), ("second", EVENT)]


def test_consumer_that_raises_keeps_no_other_from_the_event() -> None:
    """Those before and after one that raises get the event nevertheless, and the error as its own event."""
    before: list[Event] = []
    after: list[Event] = []
    stream = Stream()
    for consumer in (before.append, _fail, after.append):
        stream.add(consumer)
    stream.tell(EVENT)
    failed = JobFailed(job=f"event.{type(EVENT).__name__}", error=BUG)
    assert before == [EVENT, failed]
    assert sorted(after, key=lambda event: event is EVENT) == [failed, EVENT]


def test_consumer_that_raised_does_not_get_its_own_error() -> None:
    """The consumer that failed is not asked again for the error, but gets the next event."""
    heard: list[Event] = []

    def fail_once(event: Event) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise BUG

    stream = Stream()
    stream.add(fail_once)
    stream.tell(EVENT)
    stream.tell(EVENT)
    assert heard == [EVENT, EVENT]


def test_tell_never_raises() -> None:
    """Nothing goes back to where it happened, even if every consumer fails, and fails at the error as well."""
    heard: list[Event] = []
    stream = Stream()
    for consumer in (_fail, _fail, heard.append):
        stream.add(consumer)
    stream.tell(EVENT)
    assert heard.count(EVENT) == 1
    assert [type(event) for event in heard].count(JobFailed) == 2
