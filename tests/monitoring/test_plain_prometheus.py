"""The configurations for a Prometheus and an Alertmanager outside of Kubernetes, and the trial by compose."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from end_to_end.harness import Bench, Tenant, fresh
from monitoring.stack import PATIENCE, ROOT, Prometheus, Service, all_rules, free_port, promtool, wait_for

FOLDER = ROOT / "deploy" / "prometheus"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}


class Shipped(Prometheus):
    """A program of the Prometheus project that runs with a configuration of deploy/prometheus."""

    def __init__(self, folder: Path, name: str, arguments: list[str]) -> None:
        """*arguments* are those of the image, with paths of this machine."""
        folder.mkdir(exist_ok=True)
        port = free_port()
        command = [PROGRAMS[name], *arguments, f"--web.listen-address=127.0.0.1:{port}"]
        Service.__init__(self, folder, command, port)


def shipped(folder: Path, ports: dict[str, int]) -> Path:
    """A copy of deploy/prometheus in which localhost:PORT is another port."""
    copy = folder / "prometheus"
    shutil.copytree(FOLDER, copy)
    config = copy / "prometheus.yaml"
    text = config.read_text(encoding="utf-8").replace("1m", "1s")
    for known, port in ports.items():
        assert f"localhost:{known}" in text
        text = text.replace(f"localhost:{known}", f"localhost:{port}")
    config.write_text(text, encoding="utf-8")
    return copy


def arguments(name: str, folder: Path, data: Path) -> list[str]:
    """The arguments of a service of the trial, with the folders of this machine."""
    known = {"/etc/rotator": str(folder), "/prometheus": str(data), "/alertmanager": str(data)}
    found: list[str] = []
    for argument in SERVICES[name]["command"]:
        option, _, value = argument.partition("=")
        path = next((known[each] + value.removeprefix(each) for each in known if value.startswith(each)), value)
        found.append(f"{option}={path}")
    return found


@pytest.mark.usefixtures("programs")
def test_shipped_configuration_is_valid() -> None:
    """Promtool finds nothing wrong with the file as it is, and it finds the rules beside it."""
    checked = promtool("check", "config", FOLDER / "prometheus.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(all_rules())} rules found" in checked.stdout


@pytest.mark.usefixtures("programs")
def test_plain_prometheus_scrapes_and_evaluates(tmp_path: Path, bench: Bench) -> None:
    """Started with the files as the trial starts them, they find each other, the daemon and the rules."""
    bench.begin(Tenant(keysets=(fresh(),)), check_interval="1s")
    daemon = bench.start()
    daemon.log("sweep.finished")
    ports = {"9464": daemon.port, "9093": free_port()}
    folder = shipped(tmp_path, ports)
    with (
        Shipped(tmp_path / "a", "alertmanager", arguments("alertmanager", folder, tmp_path / "a")) as alertmanager,
        Shipped(tmp_path / "p", "prometheus", arguments("prometheus", folder, tmp_path / "p")) as prometheus,
    ):
        (up,) = prometheus.until('up{job="rotator"} == 1')
        assert up["metric"]["instance"] == f"localhost:{daemon.port}"
        prometheus.until("job_tenant_keyset:b2c_rotator_configured:max")
        _, groups = prometheus.ask("rules")
        assert len(groups["groups"][0]["rules"]) == len(all_rules())
        _, managers = prometheus.ask("alertmanagers")
        assert [each["url"] for each in managers["activeAlertmanagers"]] == [
            f"http://localhost:{ports['9093']}/api/v2/alerts"
        ]
        assert alertmanager.get("/-/healthy")[0] == 200


# --- the trial by compose


def test_compose_file_is_consistent() -> None:
    """Each service has an image and a command; each path, volume and other service that it names is there."""
    assert set(COMPOSE) == {"name", "services", "volumes"}
    for name, service in SERVICES.items():
        assert service["image"], name
        assert all(isinstance(word, str) for word in service["command"]), name
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / "deploy" / source).is_dir(), volume
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        assert service.get("network_mode", "service:emulator") == "service:emulator"
    copied = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for wanted in ("requirements.lock", "pyproject.toml", "rotator"):
        assert f"!{wanted}\n" in copied
    ports = {port.split(":")[1] for port in SERVICES["emulator"]["ports"]}
    assert ports == {"9464", "9090", "9093"}


@contextmanager
def started(command: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this program, which is stopped in the end."""
    assert command[0] == "rotator"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=out,
            stderr=out,
            env={name: value for name, value in {**os.environ, **(env or {})}.items() if name != "ROTATOR_CONFIG"},
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_compose_commands_work_together(tmp_path: Path) -> None:
    """With another folder and other ports, the commands of the trial start, and rotator sees the emulated tenant."""
    trial, port = tmp_path / "trial", free_port()
    trial.mkdir()

    def here(name: str) -> list[str]:
        return [word.replace("/trial", str(trial)) for word in SERVICES[name]["command"]]

    check, wanted, file = SERVICES["emulator"]["healthcheck"]["test"][1:]
    assert (check, wanted) == ("test", "-s")
    configuration = Path(file.replace("/trial", str(trial)))
    environment = {
        **SERVICES["rotator"]["environment"],
        "ROTATOR_HTTP__HOST": "127.0.0.1",
        "ROTATOR_HTTP__PORT": str(port),
    }
    emulator_log, log = tmp_path / "emulator.log", tmp_path / "rotator.log"
    with started([*here("emulator"), "--port", "0"], emulator_log) as emulator:
        wait_for(lambda: configuration.is_file() and configuration.read_text(), emulator_log.read_text)
        with started(here("rotator"), log, environment) as rotator:
            wait_for(lambda: '"sweep.finished"' in log.read_text(), log.read_text)
        assert rotator.returncode == 0
    assert emulator.returncode == 0
    assert '"keyset.planned"' in log.read_text()
