"""
A real Prometheus and a real Alertmanager on loopback, and a receiver of what they send.

Each is a process of its own, keeps its data below a folder of the test, and is ended
with it. What they log stands in that folder, and in the message of a test that fails.
"""

import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import yaml

ROOT = Path(__file__).parents[2]
T = TypeVar("T")

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RULE_TESTS = ROOT / "tests" / "monitoring" / "rule_tests.yaml"
WEEK_TESTS = RULE_TESTS.with_name("week_tests.yaml")
RUNBOOK = ROOT / "deploy" / "runbook.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"

PATIENCE = 60.0
"""Seconds after which what has not happened is a failed test."""


def promtool(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(
        ["promtool", *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=300, check=False
    )


def alerts(rules: Path = RULES) -> dict[str, dict[str, Any]]:
    """The alerts of a rule file, by name."""
    return {rule["alert"]: rule for rule in all_rules(rules) if "alert" in rule}


def all_rules(rules: Path = RULES) -> list[dict[str, Any]]:
    """Every rule of a rule file, in order."""
    content = yaml.safe_load(rules.read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def hurried(text: str) -> str:
    """The rule file for keys that live for seconds: nothing is waited for, and a gap may be no longer than seconds."""
    text = re.sub(r"^( +for:) \w+$", r"\1 1s", text, flags=re.MULTILINE)
    return text.replace("[10m]", "[5s]")


def free_port() -> int:
    """A port of loopback without a listener."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Service(AbstractContextManager["Service"]):
    """A process with an HTTP side that says when it is ready."""

    def __init__(self, folder: Path, command: list[str], port: int) -> None:
        self._log = folder / f"{Path(command[0]).name}.log"
        self._command = command
        self._port = port

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_for(self._is_ready, lambda: f"{self._command[0]} is not ready:\n{self._log.read_text()}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self.get("/-/ready")[0] == 200
        except OSError:
            return False


class Prometheus(Service):
    """Scrapes and evaluates twice a second."""

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, int],
        *,
        rules: str = "groups: []",
        alertmanager: int | None = None,
    ) -> None:
        """*targets* are ports of loopback by job; alerts go to the one of *alertmanager*."""
        folder.mkdir()
        (folder / "rules.yaml").write_text(rules, encoding="utf-8")
        managers = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}] if alertmanager else []
        content = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(folder / "rules.yaml")],
            "alerting": {"alertmanagers": managers},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for job, port in targets.items()
            ],
        }
        config = folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        port = free_port()
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ]
        super().__init__(folder, command, port)

    def ask(self, path: str, **parameters: str) -> tuple[int, Any]:
        """Status and data of an answer of its API; the error if there is no data."""
        status, text = self.get(f"/api/v1/{path}?{urlencode(parameters)}")
        answer = json.loads(text)
        return status, answer.get("data", answer.get("error"))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The vector that an expression gives now."""
        status, data = self.ask("query", query=expression)
        assert status == 200, f"{expression}: {data}"
        result: list[dict[str, Any]] = data["result"]
        return result

    def until(self, expression: str) -> list[dict[str, Any]]:
        """The first vector of an expression that is not empty."""
        return wait_for(lambda: self.query(expression), lambda: f"{expression} stays empty")


class Alertmanager(Service):
    """Sends each alert at once, on its own, and again when it is over."""

    def __init__(self, folder: Path, receiver: str) -> None:
        """*receiver* is the URL of the webhook."""
        folder.mkdir()
        content = {
            "route": {
                "receiver": "test",
                "group_by": ["..."],
                "group_wait": "0s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "test", "webhook_configs": [{"url": receiver, "send_resolved": True}]}],
        }
        config = folder / "alertmanager.yaml"
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        self.port = free_port()
        command = [
            "prometheus-alertmanager",
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        super().__init__(folder, command, self.port)


class Receiver:
    """What arrives at the webhook."""

    def __init__(self) -> None:
        self.url = ""
        self._changed = threading.Condition()
        self._arrived: list[dict[str, Any]] = []

    @property
    def arrived(self) -> list[dict[str, Any]]:
        """Every alert until now, in the order in which they came; one that is over came twice."""
        with self._changed:
            return list(self._arrived)

    def take(self, message: dict[str, Any]) -> None:
        """Take note of a message of Alertmanager's."""
        with self._changed:
            self._arrived += message["alerts"]
            self._changed.notify_all()

    def wait(self, name: str, *, status: str = "firing", **labels: str) -> dict[str, Any]:
        """Wait for an alert."""
        until = time.monotonic() + PATIENCE
        wanted = {"alertname": name, **labels}
        with self._changed:
            while True:
                for alert in self._arrived:
                    if alert["status"] == status and wanted.items() <= alert["labels"].items():
                        return alert
                left = until - time.monotonic()
                came = [(alert["status"], alert["labels"]) for alert in self._arrived]
                assert left > 0, f"no {status} {wanted} within {PATIENCE}s, only {came}"
                self._changed.wait(left)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A webhook on loopback."""
    taking = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taking.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's signature
            pass

    with serving(Handler) as port:
        taking.url = f"http://127.0.0.1:{port}/"
        yield taking


@contextmanager
def page(text: Callable[[], tuple[str, str]]) -> Iterator[int]:
    """A page on loopback whose content type and text are made when somebody asks; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content_type, body = text()
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
            pass

    with serving(Handler) as port:
        yield port


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve with *handler*; the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def wait_for(found: Callable[[], T], complaint: Callable[[], str]) -> T:
    """What *found* gives, once that is something."""
    until = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < until, complaint()
        time.sleep(0.1)
    return result


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The panels of a dashboard that show something, those in collapsed rows as well."""
    every = [each for panel in dashboard["panels"] for each in (panel, *panel.get("panels", []))]
    return [panel for panel in every if panel["type"] != "row"]


def expressions(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each query of a dashboard with the title of its panel or annotation, every variable replaced as Grafana would."""
    queries = [(panel["title"], target["expr"]) for panel in panels(dashboard) for target in panel["targets"]]
    queries += [(annotation["name"], annotation["expr"]) for annotation in dashboard["annotations"]["list"]]
    for title, query in queries:
        text = query.replace("$__rate_interval", "5m").replace("$__range", "24h")
        text = re.sub(r"\$(cluster|job|tenant|keyset)\b", ".*", text)
        assert "$" not in text, f"{title}: a variable that nobody knows in {text}"
        yield title, text


def metric_names(texts: Iterable[str]) -> set[str]:
    """The metrics that PromQL names: ours, and those of the process."""
    return {name for text in texts for name in re.findall(r"(?<![:\w])(?:b2c_rotator|process)_\w+(?![:\w])", text)}
