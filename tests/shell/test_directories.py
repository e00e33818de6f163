"""One directory under two names: what is refused, and what is not."""

from dataclasses import replace

import pytest
from core.builders import DAY, KEYSET_ID, POLICY, T0, keyset, tenant_id
from simulation.simulator import SimulatedClock, SimulatedTenant

from rotator.core.errors import FailureKind, RequestError
from rotator.core.outcome import Observation, Planned
from rotator.core.policy import KeySpec
from rotator.core.reasons import Reason
from rotator.shell.directories import Directories, OneDirectory
from rotator.shell.gates import also, guarded

OTHER_ID = "B2C_1A_Other"
ONE, TWO = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"


def planned(tenant: str) -> Planned:
    spec = KeySpec(use="sig", kty="RSA", nbf=T0, exp=T0 + 90 * DAY)
    seen = Observation(tenant=tenant, tenant_id=tenant_id(tenant), policy=POLICY, now=T0)
    return Planned(observation=seen, reason=Reason.RENEWAL_DUE, spec=spec)


def test_same_directory_and_keyset() -> None:
    """Both are refused, by the name of the other, as soon as both are known; case of the keyset's id aside."""
    directories = Directories({"guid": [KEYSET_ID.lower()], "domain": [KEYSET_ID], "other": [KEYSET_ID]})
    directories.note("guid", ONE)
    directories.note("other", TWO)
    assert directories(planned("guid")) is None
    assert directories(planned("domain")) is None, "nobody knows yet what it is"
    directories.note("domain", ONE)
    for name, other in (("guid", "domain"), ("domain", "guid")):
        failure = directories(planned(name))
        assert failure is not None
        assert (failure.kind, failure.message.split()[:2]) == (FailureKind.CONFLICT, ["tenant", other])
    assert directories(planned("other")) is None


def test_same_directory_with_other_keysets() -> None:
    """Two entries that share no keyset do not meet."""
    directories = Directories({"guid": ["B2C_1A_Other"], "domain": [KEYSET_ID]})
    for name in ("guid", "domain"):
        directories.note(name, ONE)
    assert directories(planned("domain")) is None


def test_gate_goes_before_the_others() -> None:
    """A write begins only where this gate has no objection, and then the others are asked."""
    asked: list[str] = []

    def other(write: Planned) -> None:
        asked.append(write.observation.tenant)

    directories = Directories({"guid": [KEYSET_ID], "domain": [KEYSET_ID]})
    writing = also(directories, guarded([other]))
    with writing(planned("guid")) as objection:
        assert objection is None
    for name in ("guid", "domain"):
        directories.note(name, ONE)
    with writing(planned("guid")) as objection:
        assert objection is not None
    assert asked == ["guid"]


def test_looks_at_a_keyset_of_two_tenants_fail() -> None:
    """From the look on at which both are known; keysets of one alone are seen as ever."""
    clock = SimulatedClock(T0)
    directories = Directories({"guid": [KEYSET_ID, OTHER_ID], "domain": [KEYSET_ID.lower()]})
    both = SimulatedTenant(clock, [keyset(), replace(keyset(), id=OTHER_ID)])
    guid, domain = (OneDirectory(both, directories, name) for name in ("guid", "domain"))
    directories.note("guid", ONE)
    assert guid.fetch(KEYSET_ID) == guid.list_keysets([KEYSET_ID]).wanted[KEYSET_ID] == keyset()
    directories.note("domain", ONE)
    for seen in (guid, domain):
        error = seen.list_keysets([KEYSET_ID]).wanted[KEYSET_ID]
        assert isinstance(error, RequestError)
        assert error.failure.kind is FailureKind.CONFLICT
        with pytest.raises(RequestError, match="is the same directory"):
            seen.fetch(KEYSET_ID)
    assert guid.fetch(OTHER_ID) == guid.list_keysets([KEYSET_ID, OTHER_ID]).wanted[OTHER_ID]
