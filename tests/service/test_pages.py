"""What the pages say of the process beside its keysets."""

from dataclasses import replace
from pathlib import Path

import pytest
from core.builders import POLICY, T0, tenant_id
from waiting import wait_for

from rotator.core.errors import Failure, FailureKind
from rotator.core.events import Looked
from rotator.core.outcome import Failed, Observation
from rotator.edges.metrics import Metrics, Registry
from rotator.edges.redactor import Redactor
from rotator.edges.settings import Settings
from rotator.edges.web import Page, Request
from rotator.service.health import LookProgress
from rotator.service.pages import CHART_CONFIG, MAX_SILENCE, Pages, Shown, election_variables
from rotator.service.process_store import ProcessStore
from rotator.shell.status_store import StatusStore

OFF = {"ROTATOR_LEADER_ELECTION__ENABLED": "false"}
CHART = {"ROTATOR_CONFIG": CHART_CONFIG, "PATH": "/bin"}


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        pytest.param(CHART, (), id="as the chart has it"),
        pytest.param(CHART | OFF, ("ROTATOR_LEADER_ELECTION__ENABLED",), id="added by hand"),
        pytest.param(
            CHART | {"rotator_leader_election": "{}"}, ("rotator_leader_election",), id="in any case, as a whole"
        ),
        pytest.param(CHART | {"ROTATOR_DRY_RUN": "true"}, (), id="another setting"),
        pytest.param(OFF, (), id="no pod of the chart"),
        pytest.param(OFF | {"ROTATOR_CONFIG": "/etc/rotator.yaml"}, (), id="another file"),
    ],
)
def test_election_variables(environ: dict[str, str], names: tuple[str, ...]) -> None:
    """In a pod of the chart no variable is about the election, unless somebody has added it to the Deployment."""
    assert election_variables(environ) == names


class Rig:
    """Pages of a daemon on its own clock, that looks at keysets every ten minutes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.silence = 0.0
        settings = Settings.model_validate(CONFIGURATION)
        self.shown = Shown(settings=settings, began=T0)
        self.progress = LookProgress(lambda: self.seconds)
        store = StatusStore(lambda _: None)
        self.pages = Pages(
            lambda: self.shown,
            store=store,
            process=ProcessStore(lambda: T0, Path("rotator.yaml")),
            metrics=Metrics(Registry(), store, lambda: T0),
            now=lambda: T0,
            seconds_since_heartbeat=lambda: self.silence,
            redactor=Redactor(),
            leadership=None,
            progress=self.progress,
        )

    def get(self, path: str) -> Page:
        return self.pages.routes()[path](Request())


CONFIGURATION = {
    "check_interval": "10m",
    "request_timeout": "30s",
    "tenants": [
        {
            "name": "contoso",
            "tenant_id": "contoso.onmicrosoft.com",
            "credential": {"client_id": "00000000-0000-0000-0000-000000000000", "client_secret_env": "SECRET"},
            "keysets": [{"id": "B2C_1A_X", "use": "sig"}],
        }
    ],
}


def test_health_without_progress() -> None:
    """It fails where looks are due and none makes progress; a replica that does not look is healthy."""
    rig = Rig()
    rig.seconds = 2.5 * 600 + 30
    assert rig.get("/healthz").status == 200
    rig.seconds += 1
    found = rig.get("/healthz")
    assert (found.status, found.body) == (503, b"looks are due, and none has made progress for 1531 s\n")
    rig.shown = replace(rig.shown, is_active=False)
    assert rig.get("/healthz").status == 200
    rig.silence = MAX_SILENCE + 1
    assert rig.get("/healthz").status == 503


@pytest.mark.parametrize("path", ["/", "/status.json"])
def test_page_is_rendered_when_something_changes(path: str) -> None:
    """Readers get the same page until there was a look or a sweep, or the state of the daemon is another one."""
    rig = Rig()
    page = rig.get(path)
    assert rig.get(path) is page
    seen = Observation(tenant="contoso", tenant_id=tenant_id(), policy=POLICY, now=T0)
    failed = Failed(observation=seen, failure=Failure(kind=FailureKind.NETWORK, message="no"))
    rig.pages.on_event(Looked(outcome=failed, is_preliminary=False, failures=1))
    rig.shown = replace(rig.shown, swept=T0)
    wait_for(lambda: rig.get(path) is not page)
