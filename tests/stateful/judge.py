# mypy: disable-error-code="exhaustive-match"
"""
Holds what happened against what is promised; test_stateful.py says what that is.

It reads the history of the emulated tenant, every request and its answer, and what the
program told: outcomes, metrics, log. Whatever is wrong is put on a list, since much of it
is found during a job of the program, which would take an exception for its own.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stateful.program import Process
from stateful.time import EPOCH, World
from stateful.truth import (
    Kind,
    Life,
    Lives,
    Wish,
    active,
    flaws,
    lives_of_answer,
    lives_of_program,
    lives_of_service,
)
from stateful.wire import Sent, Way

from rotator.core.errors import FailureKind
from rotator.core.outcome import Exit, Failed, Held, Outcome, Planned, Rotated, exit_code
from rotator.core.policy import KNOWN_MINIMUM_LEAD
from rotator.core.reasons import Reason
from rotator.emulator.http.routes import Operation
from rotator.emulator.model.history import KeyAdded
from rotator.emulator.model.tenants import Tenant

SKEW = 300.0  # seconds by which the clocks may differ, and every instant with them
MOMENT = 90.0  # seconds that may pass between a decision and its POST: requests, and pauses between them
MOST_REQUESTS = 200
MOST_LOOKS = 100
MOST_JOBS_AT_ONCE = 50
LOGIN = frozenset({Operation.DISCOVERY, Operation.TOKEN})
MAY_BE_ASKED = LOGIN | {
    Operation.LIST_KEYSETS,
    Operation.GET_KEYSET,
    Operation.GENERATE_KEY,
    Operation.UPDATE_KEY,
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """A key that we made."""

    kid: str
    instant: float
    nbf: float
    exp: float


@dataclass(frozen=True, kw_only=True)
class Post:
    """A key that was requested, by a process that saw *seen* and whose clock said *now*."""

    instant: float
    now: float
    nbf: float
    exp: float
    seen: Lives


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a process was shown of a keyset, when its clock said *now*."""

    instant: float
    now: float
    lives: Lives


@dataclass
class Books:
    """What is known of one keyset, and since when it has been calm."""

    wish: Wish
    calm_since: float = EPOCH
    checked: float = EPOCH
    pending_at: float = 0.0
    surprises: list[float] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)  # of this process, the latest last
    events_read: int = 0


@dataclass(kw_only=True)
class Situation:
    """What the machine has set up, as far as it decides what can be asked of the program."""

    check_interval: float = 0.0
    settle: float = 0.0
    may_write: dict[str, bool] = field(default_factory=dict)  # by the configuration in force
    stale: float = 0.0
    least_lead: float = 0.0  # what the service insists on
    shortest_turn: float = float("inf")  # the shortest rotate_every so far

    @property
    def grace(self) -> float:
        """How long a calm program may take, from anything to the key that it calls for."""
        jitter = min(self.check_interval / 20, 30.0)
        return self.check_interval + jitter + 4 * (self.settle + MOMENT) + self.stale + SKEW


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A key that was requested at *instant*, of which the program has told nothing yet."""

    instant: float
    is_doubtful: bool
    was_looked_for: bool = False


class Judge:
    """Holds one run against the promises."""

    def __init__(
        self, world: World, way: Way, tenant: Tenant, situation: Situation, is_hindered: Callable[[str], bool]
    ) -> None:
        """*is_hindered* knows of a keyset whether something is in the way right now."""
        self.broken: list[str] = []
        self.is_stopped = False
        self.situation = situation
        self.books: dict[str, Books] = {}
        self._is_hindered = is_hindered
        self._world = world
        self._way = way
        self._tenant = tenant
        self._client_id = next(iter(tenant.apps))
        self._sent: list[Sent] = []
        self._asked: dict[str, Asked] = {}
        self._told: Counter[tuple[str, ...]] = Counter()
        self._logged: Counter[tuple[str, ...]] = Counter()
        self._generated: dict[str, list[tuple[float, str | None]]] = {}
        self._left: set[str] = set()
        self._jobs_at = (0.0, 0)
        way.posting = self.posting

    def fail(self, promise: str, what: str) -> None:
        """Note a promise that was broken."""
        self.broken.append(f"{promise} at {self._world.now - EPOCH:.2f}: {what}")

    def touch(self, keyset: str | None = None, *, surprises: bool = False) -> None:
        """Something gets in the way from now on, of one keyset or of all; what *surprises* may be worth a key."""
        self.look()
        self.hinder(keyset, surprises=surprises)

    def hinder(self, keyset: str | None = None, *, surprises: bool = False) -> None:
        """Something was in the way until now."""
        for books in (self.books[keyset],) if keyset else self.books.values():
            books.calm_since = self._world.now
            if surprises:
                books.surprises.append(self._world.now)

    def began(self) -> None:
        """Another life of the program, which has told nothing yet."""
        self._told.clear()
        self._logged.clear()
        self._generated.clear()
        self._left.clear()
        self._asked.clear()
        for books in self.books.values():
            books.looks = []
        self.is_stopped = False
        self.hinder()

    def left(self, keyset: str) -> None:
        """A keyset has left the configuration, and its counters with it."""
        self._left.add(keyset)

    # --- while a request passes

    def posting(self, keyset: str, asked: Any) -> None:
        """A key is being requested (I5, I9)."""
        books = self.books[keyset]
        if not self.situation.may_write.get(keyset, False):
            self.fail("I5", f"a key of {keyset} is asked for, and nothing may be written")
        self._read_answers()
        if abs(self._world.skew) > SKEW + 1 and self._sent[-1].instant > self._world.skewed_at:
            self.fail("I9", f"a key of {keyset} is asked for, and the clock is wrong by {self._world.skew:g}s")
        if self.is_stopped and self._sent[-1].operation not in LOGIN:  # between those and this nothing can be asked
            self.fail("I9", f"a key of {keyset} is asked for after the program was asked to stop")
        now = self._world.now + self._world.skew
        seen = books.looks[-1].lives if books.looks else ()
        post = Post(instant=self._world.now, now=now, nbf=asked["nbf"], exp=asked["exp"], seen=seen)
        books.posts.append(post)
        for what in self._misasked(keyset, post, books.wish):
            self.fail("I9", f"{keyset}: {what}: {post}")
        if not self._looked_twice(books):
            self.fail("I9", f"{keyset}: no two looks, apart by settle, call for a key: {post}: {books.looks}")

    def _misasked(self, keyset: str, post: Post, wish: Wish) -> Iterator[str]:
        now, lives = post.now, post.seen
        if post.exp - post.nbf != wish.validity:
            yield "the key is not valid for as long as it should be"
        if post.nbf < now + wish.minimum_lead - MOMENT:
            yield "the key would take over in the past"
        in_use = active(lives, now)
        if not _calls_for_a_key(lives, wish, now):
            yield "the key is not due"
        lasting = [_latest(life, wish, now) for life in lives if life.is_enabled and life.is_dated and life.exp > now]
        if in_use is not None and post.nbf < min(now + wish.lead, *lasting, now + wish.lead) - MOMENT:
            yield "more lead could be had"
        turns = {wish.turn_of(life) for life in lives}
        if post.nbf > now + max(wish.lead, self._least_lead(wish)) + 1 and post.nbf not in turns:
            yield "the key takes over when nothing calls for it"
        if in_use is not None:
            yield from self._runaway(keyset, post, wish)

    def _looked_twice(self, books: Books) -> bool:
        """Whether every look in the last `settle` called for a key."""
        since = None
        for look in reversed(books.looks):
            if not _calls_for_a_key(look.lives, books.wish, look.now):
                break
            since = look.instant
        return since is not None and self._world.now - since >= self.situation.settle - 1

    def _runaway(self, keyset: str, post: Post, wish: Wish) -> Iterator[str]:
        """More keys than the guard lets pass while a key is valid."""
        recent = self._counted_by_guard(keyset, post.seen, wish, post.now - MOMENT)
        if len(recent) >= 2:
            yield f"two keys are there already: {recent}"
        for life in _pending(post.seen, wish, post.now):
            before = flaws(post.seen, wish, post.now, post.now, life.nbf, excused=False)
            if life.is_enabled and all(flaw.kind not in (Kind.HOLE, Kind.TAIL) for flaw in before):
                yield f"a successor is pending: {life}"

    def _counted_by_guard(self, keyset: str, lives: Lives, wish: Wish, since: float) -> set[str | None]:
        """What this process generated within `rotate_every` before *since*, and what was undone before its time."""
        generated = {kid for when, kid in self._generated.get(keyset, []) if when > since - wish.rotate_every}
        return generated | {life.kid for life in _pending(lives, wish, since) if not life.is_enabled}

    # --- after a job, and after each step

    def after_job(self, process: Process) -> None:
        """The program has done something: hold what it told against what it did (I3, I4, I7), and all the rest."""
        self._read_answers()
        sent, self._sent = self._sent, []
        fresh = process.told()
        for each in sent:
            self._asked_properly(each)
        for outcome in fresh:
            self._told_truly(outcome)
        if not process.clock.is_dead:
            self._told_all(sent, fresh, dry_run=process.settings.dry_run)
        self._counted_and_logged(process, fresh)
        if process.mishaps:
            self.fail("I7", f"a job raised: {process.mishaps}")
        if self._way.most_in_a_minute >= MOST_REQUESTS:
            self.fail("I6", f"{self._way.most_in_a_minute} requests in a minute")
        instant, jobs = self._jobs_at
        self._jobs_at = (self._world.now, jobs + 1 if instant == self._world.now else 1)
        if self._jobs_at[1] > MOST_JOBS_AT_ONCE:
            self.fail("I6", "jobs follow each other without end")
        self.look()

    def look(self) -> None:
        """Hold the tenant's memory against the promises (I1 to I4, I8)."""
        for name, books in self.books.items():
            self._read_history(name, books)
            lives = lives_of_service(self._tenant.keyset(name).keys)
            now = self._world.now
            if self._is_hindered(name) or len(self._counted_by_guard(name, lives, books.wish, now - SKEW)) >= 2:
                books.calm_since = now
            if any(life.is_enabled for life in _pending(lives, books.wish, now - SKEW)):
                books.pending_at = now
            for gap in self._tenant.gaps(name, books.checked, self._world.now):
                latest = books.calm_since + self.situation.grace + self._least_lead(books.wish)
                if gap.end > latest:
                    self.fail("I1", f"{name}: no key was valid {gap}, and nothing was in the way since {latest}")
            books.checked = self._world.now
            if self._world.now - books.calm_since >= self.situation.grace:
                self._foresee(name, books, lives)
            self._count_keys(name, books, lives)

    def _foresee(self, name: str, books: Books, lives: Lives) -> None:
        now, wish = self._world.now, books.wish
        grace, least = self.situation.grace, self._least_lead(wish)
        due_since = now - grace
        for flaw in flaws(lives, wish, due_since, now + least, due_since + wish.overlap + wish.lead + wish.window):
            if flaw.kind is not Kind.HOLE and flaw.instant > due_since + wish.lead + wish.window:
                continue
            if flaw.kind in (Kind.AGED, Kind.UNDATED) and flaw.instant < now + wish.lead + MOMENT:
                continue
            if flaw.kind is not Kind.HOLE and now - books.pending_at < grace:
                continue
            promise = {Kind.HOLE: "I1", Kind.TAIL: "I4"}.get(flaw.kind, "I3")
            self.fail(promise, f"{name}: {flaw} is foreseen, calm since {books.calm_since - EPOCH:.2f}: {lives}")
            return

    def _least_lead(self, wish: Wish) -> float:
        known = KNOWN_MINIMUM_LEAD.total_seconds() if self.situation.least_lead else 0.0
        return max(wish.minimum_lead, known)

    def _count_keys(self, name: str, books: Books, lives: Lives) -> None:
        now = self._world.now
        enabled = {life.kid for life in lives if life.is_enabled}
        pending = [made for made in books.made if made.nbf > now and made.kid in enabled]
        if len(pending) > 1:
            first = min(made.instant for made in pending)
            if len(pending) > 1 + self._surprises(books, lives, first, now):
                self.fail("I2", f"{name}: {len(pending)} successors of ours are pending: {pending}: {lives}")
        if len(books.made) > 1:
            earlier, later = books.made[-2:]
            gap = later.nbf - earlier.nbf
            worth = self._surprises(books, lives, earlier.instant, later.instant)
            if gap < self.situation.shortest_turn and not worth:
                self.fail("I8", f"{name}: one key too many: {later} after {earlier}: {lives}")

    def _surprises(self, books: Books, lives: Lives, since: float, until: float) -> int:
        """How much happened that is worth a key: what people did, and keys of theirs that take over."""
        ours = {made.kid for made in books.made}
        theirs = (life.nbf for life in lives if life.kid not in ours)
        since -= self.situation.settle + MOMENT
        return sum(since <= when <= until for when in (*books.surprises, *theirs))

    def _read_history(self, name: str, books: Books) -> None:
        """The keys that we made since."""
        events = self._tenant.keyset(name).events
        fresh, books.events_read = events[books.events_read :], len(events)
        for event in fresh:
            if isinstance(event, KeyAdded) and event.by == self._client_id:
                key = event.key
                assert key.nbf is not None
                assert key.exp is not None
                books.made.append(Made(kid=key.kid, instant=event.instant, nbf=key.nbf, exp=key.exp))
                asked = [post for post in books.posts if (post.nbf, post.exp) == (key.nbf, key.exp)]
                late = all(event.instant - post.instant > self.situation.settle for post in asked)
                if late:  # altered, or carried out long after it was asked for
                    books.calm_since = self._world.now
                    books.surprises.append(event.instant)

    def _read_answers(self) -> None:
        """What the program has seen last of each keyset."""
        for sent in self._way.sent:
            for name, body in _shown(sent):
                if name in self.books:
                    look = Look(instant=sent.instant, now=sent.instant + sent.skew, lives=lives_of_answer(body))
                    self.books[name].looks = [*self.books[name].looks[-MOST_LOOKS:], look]
        self._sent += self._way.sent
        self._way.sent.clear()

    # --- what was told

    def _asked_properly(self, sent: Sent) -> None:
        if sent.operation not in MAY_BE_ASKED:
            self.fail("I9", f"{sent.operation} is not a request that the program may make")
        if sent.operation is Operation.UPDATE_KEY:
            books = self.books[sent.keyset or ""]
            self._read_history(sent.keyset or "", books)
            since = max((post.instant for post in books.posts if post.instant <= sent.instant), default=0.0)
            ours = {made.kid for made in books.made if made.instant >= since}
            if sent.kid not in ours or sent.asked != {"status": "enabled"}:
                self.fail("I9", f"a key that is not ours is touched: {sent}")

    def _told_truly(self, outcome: Outcome) -> None:
        """A look that says that all is well, or a rotation that says that it was late, must be right."""
        name, observation = outcome.observation.policy.keyset_id, outcome.observation
        match outcome:
            case Failed(failure=failure, generated=generated):
                self._told["failed", name, failure.kind] += 1
                if generated is not None:
                    self._generated.setdefault(name, []).append(
                        (observation.now.timestamp(), generated or repr(observation.now))
                    )
                if failure.kind is FailureKind.INTERNAL:
                    self.fail("I7", f"a bug: {outcome.bug!r}")
                return
            case Rotated(before=before, kid=kid, spec=spec, reason=reason):
                self._told["rotated", name] += 1
                self._generated.setdefault(name, []).append((observation.now.timestamp(), kid))
                self._read_history(name, self.books[name])
                there = {life.kid: life for life in lives_of_service(self._tenant.keyset(name).keys)}
                asked = (spec.nbf.timestamp(), spec.exp.timestamp())
                if kid not in there or asked != (there[kid].nbf, there[kid].exp):
                    self.fail("I7", f"{kid} is said to be there as it was asked for: {outcome}: {there}")
                self._lateness_told(name, before.now.timestamp(), spec.nbf.timestamp(), reason, outcome)
                observation = before
            case Held() | Planned():
                pass
        if observation.keyset is None or observation.assessment is None:
            self.fail("I7", f"nothing was seen, and the outcome is not a failure: {outcome}")
            return
        now, wish = observation.now.timestamp(), self.books[name].wish
        lives = lives_of_program(observation.keyset)
        near = [flaw for flaw in flaws(lives, wish, now, now, now + wish.lead) if flaw.kind is not Kind.UNDATED]
        if near and not observation.assessment.at_risk:
            self.fail("I4", f"{near[0]} is near, and not told of: {outcome}")
        if (
            observation.assessment.at_risk
            and not isinstance(outcome, Rotated)
            and exit_code([outcome], detailed=False) != Exit.AT_RISK
        ):
            self.fail("I3", f"no exit code 3: {outcome}")

    def _lateness_told(self, name: str, now: float, nbf: float, reason: Reason, outcome: Rotated) -> None:
        short = nbf - now < self.books[name].wish.lead
        if short and (reason not in (Reason.OVERDUE, Reason.NO_VALID_KEY) or not _at_risk(outcome.before.assessment)):
            self.fail("I3", f"{name}: the lead is short, and not told of: {outcome}")

    def _told_all(self, sent: list[Sent], fresh: list[Outcome], *, dry_run: bool) -> None:
        """
        No failed look goes without an outcome, and no POST for longer than it may take to see the key.

        A plan says that the request is still to come, except in a dry run that has begun since.
        """
        for each in sent:
            self._note_asked(each)
        self._failed_looks_told(sent, fresh)
        for outcome in fresh:
            name = outcome.observation.policy.keyset_id
            is_to_come = isinstance(outcome, Planned) and not dry_run
            ended = None if is_to_come else self._asked.pop(name, None)
            if ended is not None and ended.is_doubtful and not ended.was_looked_for:
                self.fail("I7", f"nobody knows what came of it, and nobody looked: {outcome}")
        for name, asked in self._asked.items():
            if self._world.now - asked.instant > 2 * self.situation.settle + MOMENT:
                self.fail("I7", f"{name}: a key was asked for, and nothing was told: {asked}")

    def _note_asked(self, sent: Sent) -> None:
        if sent.operation is Operation.GENERATE_KEY and sent.keyset is not None:
            is_doubtful = sent.was_sent and (sent.status or 500) >= 500
            self._asked[sent.keyset] = Asked(instant=sent.instant, is_doubtful=is_doubtful)
        elif sent.operation in (Operation.LIST_KEYSETS, Operation.GET_KEYSET):
            for name in [name for name in self._asked if sent.keyset in (None, name)]:
                self._asked[name] = replace(self._asked[name], was_looked_for=True)

    def _failed_looks_told(self, sent: list[Sent], fresh: list[Outcome]) -> None:
        listed = [each for each in sent if each.operation is Operation.LIST_KEYSETS]
        if not listed or _is_readable(listed[-1]):
            return
        failed = sum(isinstance(outcome, Failed) for outcome in fresh)
        is_for_keys = bool(self._asked) and failed == 0  # one request that looked for keys that were asked for
        if failed < len(self.situation.may_write) - len(self._asked) and not is_for_keys:
            self.fail("I7", f"the list could not be read, and {failed} keysets failed: {listed[-1]}")

    def _counted_and_logged(self, process: Process, fresh: list[Outcome]) -> None:
        for line in process.log_lines():
            match line:
                case {"event": "keyset.failed", "keyset": str(name), "kind": str(kind), "level": "error"}:
                    self._logged["failed", name, kind] += 1
                case {"event": "keyset.rotated", "keyset": str(name)}:
                    self._logged["rotated", name] += 1
        if self._logged != self._told:
            self.fail("I7", f"logged {self._logged}, told {self._told}")
        if not any(isinstance(outcome, Failed | Rotated) for outcome in fresh):
            return
        counted = process.counted("failures", "rotations")
        kinds: Counter[str] = Counter()
        for what, number in self._told.items():
            if what[0] == "failed":
                kinds[what[2]] += number
        found = {labels[0][1]: value for (name, labels), value in counted.items() if name == "failures"}
        if found != kinds:
            self.fail("I7", f"counted {found}, told {kinds}")
        rotated = {
            dict(labels)["keyset"]: value
            for (name, labels), value in counted.items()
            if name == "rotations" and dict(labels)["outcome"] == "rotated" and dict(labels)["keyset"] not in self._left
        }
        told = {
            what[1]: number for what, number in self._told.items() if what[0] == "rotated" and what[1] not in self._left
        }
        if rotated != told:
            self.fail("I7", f"rotations counted {rotated}, told {told}")


def _calls_for_a_key(lives: Lives, wish: Wish, now: float) -> bool:
    """Whether the next key is due, on the widest reading of the rules."""
    horizon = now + wish.lead + wish.window + MOMENT
    if active(lives, now) is None or any(flaws(lives, wish, now, now, horizon, excused=False)):
        return True
    # A key to come that is too short to overlap at all should have a successor before it takes over.
    return any(life.is_enabled and life.nbf > now and wish.turn_of(life) <= horizon for life in lives)


def _latest(life: Life, wish: Wish, now: float) -> float:
    """Until when a successor can wait for its lead: for the overlap or, if that is lost, for cover."""
    overlapping = life.exp - wish.overlap
    return overlapping if overlapping >= now + wish.minimum_lead - MOMENT else life.exp


def _pending(lives: Lives, wish: Wish, now: float) -> Lives:
    """The keys to come that look like ours."""
    return tuple(life for life in lives if life.nbf > now and life.exp - life.nbf == wish.validity)


def _at_risk(assessment: Any) -> bool:
    return assessment is not None and assessment.at_risk


def _is_readable(sent: Sent) -> bool:
    return sent.status == 200 and isinstance(sent.body, dict) and isinstance(sent.body.get("value"), list)


def _shown(sent: Sent) -> Iterator[tuple[str, Any]]:
    """The keysets that an answer shows."""
    if sent.status != 200 or not isinstance(sent.body, dict):
        return
    if sent.operation is Operation.GET_KEYSET and sent.keyset:
        yield sent.keyset, sent.body
    elif sent.operation is Operation.LIST_KEYSETS and isinstance(sent.body.get("value"), list):
        yield from ((item["id"], item) for item in sent.body["value"])
