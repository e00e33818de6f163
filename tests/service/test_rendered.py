"""How often a page is rendered."""

import threading

from waiting import wait_for

from rotator.edges.web import Page
from rotator.service.rendered import MAX_AGE, MAX_SHARE, Rendered


class Rig:
    """A page on its own clock, that takes *cost* seconds to render."""

    def __init__(self, cost: float) -> None:
        self.now, self.cost, self.version, self.count = 0.0, cost, 0, 0
        self.rendered = Rendered(self._render, lambda: self.version, threading.Lock(), lambda: self.now)

    def _render(self) -> Page:
        self.now += self.cost
        self.count += 1
        return Page(str(self.count).encode())

    def after(self, seconds: float, *, changed: bool = False) -> int:
        """How often the page has been rendered when it is requested so many seconds later."""
        self.now += seconds
        self.version += changed
        self.rendered.get()
        return self.count


def test_quick_page_shows_a_change_at_once() -> None:
    """It is rendered again at a change, or after some seconds."""
    rig = Rig(cost=0.001)
    assert [rig.after(0), rig.after(1), rig.after(MAX_AGE - 1.5)] == [1, 1, 1]
    assert [rig.after(0.1, changed=True), rig.after(0)] == [2, 2]
    assert rig.after(MAX_AGE) == 3


def test_slow_page_is_rendered_seldom() -> None:
    """Not more often than every five seconds where it changes all the time, and far less often if it does not."""
    rig = Rig(cost=2.0)
    assert rig.after(0) == 1
    assert [rig.after(1, changed=True) for _ in range(6)] == [1, 1, 1, 1, 2, 2]
    rig.after(MAX_AGE, changed=True)
    before = rig.count
    assert rig.after(2.0 / MAX_SHARE - 1) == before
    assert rig.after(1) == before + 1


def test_one_rendering_at_a_time() -> None:
    """Readers who come while a page is rendered get that one."""
    begun, released, lock = threading.Event(), threading.Event(), threading.Lock()
    made: list[Page] = []

    def render() -> Page:
        begun.set()
        released.wait(60)
        made.append(Page(b"page"))
        return made[-1]

    page, other = (Rendered(render, lambda: 0, lock, lambda: 0.0) for _ in range(2))
    found: list[Page] = []
    readers = [threading.Thread(target=lambda: found.append(page.get())) for _ in range(10)]
    for reader in readers:
        reader.start()
    assert begun.wait(20)
    begun.clear()
    third = threading.Thread(target=other.get)
    third.start()
    assert not begun.wait(0.1), "pages that share a lock are rendered one at a time"
    released.set()
    for reader in (*readers, third):
        reader.join()
    wait_for(lambda: len(found) == 10)
    assert (len(made), {id(each) for each in found}) == (2, {id(made[0])} if page.get() is made[0] else {id(made[1])})
