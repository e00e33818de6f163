"""What the pages say of the process beside its keysets."""

import pytest

from rotator.service.pages import CHART_CONFIG, election_variables

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
