"""
The image, built and run for real. Apart from the other tests, since it needs root and two minutes: `make test-image`.

It runs as it would in a cluster with the restricted profile (read-only root, no
capabilities, as 65532, no new privileges), against the emulated service on loopback.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from end_to_end.harness import Bench, Tenant, due, fresh
from image.container import BASE, CREATED, IMAGE, REVISION, SOURCE, USER, VERSION, Engine, engine, make_root

from rotator.emulator.faults.fault import Fault, Kind
from rotator.emulator.http.routes import Operation

RUNS = 5
SECRET_FILE = "/var/run/secrets/rotator/client-secret"
Say = Callable[[str, str], None]


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Iterator[Say]:
    """Keep a figure, to be printed at the end."""
    figures: list[tuple[str, str]] = []
    yield lambda what, figure: figures.append((what, figure))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n\n" + "\n".join(f"{what:52} {figure}" for what, figure in figures))


@pytest.fixture(scope="session")
def image(say: Say, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The image, built on a base that is made here."""
    with engine() as made:
        began = time.monotonic()
        archive = tmp_path_factory.mktemp("base") / "root.tar"
        make_root(archive)
        made.base(archive, BASE)
        archive.unlink()
        say("the base, made of Debian's packages in", f"{time.monotonic() - began:.0f} s")
        began = time.monotonic()
        said = {"VERSION": VERSION, "REVISION": REVISION, "SOURCE": SOURCE, "CREATED": CREATED}
        made.build(BASE, IMAGE, *(f"--build-arg={name}={value}" for name, value in said.items()))
        say("the image, built on it in", f"{time.monotonic() - began:.0f} s")
        yield made


class Site:
    """An emulated service, and what a pod would have mounted."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        for name in ("config", "secrets", "ca"):
            (bench.folder / name).mkdir()
        bench.config = bench.folder / "config" / "rotator.yaml"
        bench.secret_file = bench.folder / "secrets" / "client-secret"

    def begin(self, *keysets: object, **settings: object) -> None:
        """Start the service, and write the configuration as it is in a pod."""
        tenant = Tenant(keysets=tuple(keysets), credential={"client_secret_file": SECRET_FILE})  # type: ignore[arg-type]
        emulator = self.bench.begin(tenant, **{"ca_file": "/etc/rotator-ca/ca.crt", "settle": "1s", **settings})
        (self.bench.folder / "ca" / "ca.crt").write_bytes(Path(emulator.ca_file).read_bytes())
        self.bench.secret_file.chmod(0o440)
        os.chown(self.bench.secret_file, 0, USER)  # as with fsGroup: root's, and readable for the group

    @property
    def options(self) -> tuple[str, ...]:
        """The output of `podman inspect` for it."""
        folder = self.bench.folder
        return (
            "--env=ROTATOR_CONFIG=/etc/rotator/rotator.yaml",
            f"--volume={folder / 'config'}:/etc/rotator:ro",
            f"--volume={folder / 'secrets'}:/var/run/secrets/rotator:ro",
            f"--volume={folder / 'ca'}:/etc/rotator-ca:ro",
        )


@pytest.fixture
def site(bench: Bench) -> Site:
    """A service that has not begun."""
    return Site(bench)


# --- what is in it


def test_image_says_what_it_is(image: Engine, say: Say) -> None:
    """User, entry point, signal and labels are as the Dockerfile says, and it has no health check."""
    told = image.inspect()
    config = told["Config"]
    assert (config["User"], config["Entrypoint"], config["StopSignal"]) == (f"{USER}:{USER}", ["rotator"], "SIGTERM")
    assert (list(config["ExposedPorts"]), config.get("Cmd"), config.get("Healthcheck")) == (["9464/tcp"], None, None)
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items() if "opencontainers" in name}
    assert (labels["title"], labels["licenses"]) == ("rotator", "MIT")
    assert (labels["version"], labels["revision"]) == (VERSION, REVISION)
    assert (labels["source"], labels["created"]) == (SOURCE, CREATED)
    base = image.inspect(BASE)["Size"]
    say("the Python in it", image.shell("python -V").strip())
    say("size of the image", f"{told['Size'] / 1e6:.0f} MB, of which the base has {base / 1e6:.0f}")


def test_image_has_nothing_that_installs_or_compiles(image: Engine) -> None:
    """No pip, no build tool and no compiler is left, in neither Python, nor a wheel to install one from."""
    script = """
        for python in /opt/rotator/bin/python $(ls /usr/bin/python3 /usr/local/bin/python3 2>/dev/null); do
            for module in pip ensurepip setuptools wheel; do
                $python -c "import $module" 2>/dev/null && echo "$python has $module"
            done
        done
        for tool in pip pip3 cc c99 gcc g++ clang make cmake ld as cargo go git; do
            command -v $tool && echo "there is $tool"
        done
        find / -xdev -name '*.whl' 2>/dev/null
        true
    """
    assert image.shell(script) == ""


def test_image_has_no_program_but_its_own(image: Engine) -> None:
    """What the packages would bring to the command line is not there, and nothing runs as somebody else."""
    script = """
        ls /opt/rotator/bin | grep -v '^python'
        find / -xdev -type f -perm /6000 2>/dev/null
        true
    """
    assert image.shell(script).split() == ["rotator"]


def test_image_says_what_the_emulator_needs(image: Engine) -> None:
    """The emulator's own libraries are not in the image: a call there reports what is missing."""
    done = image.run("emulator")
    assert (done.returncode, done.stderr) == (
        1,
        "rotator: emulator needs the package werkzeug; install it: pip install 'rotator[emulator]'\n",
    )


def test_image_is_compiled(image: Engine) -> None:
    """Whatever a daemon imports has its bytecode already: a read-only root could not keep it."""
    script = """
import importlib.util, pathlib, sys
import rotator.wiring, rotator.cli, rotator.service.daemon, msal, cryptography.x509
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
sources = [file for file in files if file.endswith(".py")]
print(len(sources), [s for s in sources if not pathlib.Path(importlib.util.cache_from_source(s)).exists()])
"""
    done = image.run("-c", script, options=("--entrypoint=python",))
    assert done.returncode == 0, done.stderr
    count, _, missing = done.stdout.strip().partition(" ")
    assert (int(count) > 300, missing) == (True, "[]")


def test_image_can_do_nothing_but_its_work(image: Engine) -> None:
    """It runs as nobody, without a capability, can't get any, and can't write anywhere."""
    told = image.shell(
        "id -u; id -g; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status;"
        "for where in / /tmp /opt/rotator /var/tmp /etc /run; do"
        "    touch $where/x 2>/dev/null && echo wrote $where;"
        "done; true"
    )
    assert told.splitlines() == [
        str(USER),
        str(USER),
        f"CapEff:\t{'0' * 16}",
        f"CapBnd:\t{'0' * 16}",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ]


# --- what it does


def test_image_runs_dry(image: Engine, site: Site, say: Say) -> None:
    """A dry run reads, tells, and writes nothing."""
    site.begin(due(), fresh())
    done = image.run("--dry-run", "--detailed-exitcode", options=site.options)
    assert done.returncode == 2, done.stderr
    assert "B2C_1A_Due" in done.stdout
    assert len(site.bench.keys("B2C_1A_Due")) == 1
    empty = [_timed(lambda: image.shell("true")) for _ in range(RUNS)]
    version = [_timed(lambda: image.run("--version")) for _ in range(RUNS)]
    dry_run = [_timed(lambda: image.run("--dry-run", options=site.options)) for _ in range(RUNS)]
    say("a container that does nothing, from run to end", _spread(empty))
    say("rotator --version, likewise", _spread(version))
    say("rotator --dry-run, likewise", _spread(dry_run))


def test_image_runs_for_long_and_stops_when_asked(image: Engine, site: Site, say: Say) -> None:
    """The daemon is process 1, alone, makes the key that is due, and ends with 0 on the image's stop signal."""
    site.begin(due(), fresh())
    began = time.monotonic()
    running = image.start("long", options=site.options)
    try:
        running.log("rotator.started")
        say("the daemon, from run to rotator.started", f"{(time.monotonic() - began) * 1000:.0f} ms")
        running.log("keyset.rotated")
        assert (running.get("/healthz").status, running.get("/readyz").status) == (200, 200)
        assert len(site.bench.keys("B2C_1A_Due")) == 2
        process = image.process("long")
        assert _status(process, "NSpid").split()[-1] == "1"
        assert _children(process) == []
        say("memory of the daemon, after a rotation", f"{int(_status(process, 'VmRSS').split()[0]) / 1024:.1f} MB RSS")
        began = time.monotonic()
        assert image.podman("stop", "--time=60", "long").returncode == 0
        finished = running.wait()
        say("from SIGTERM to the end", f"{(time.monotonic() - began) * 1000:.0f} ms")
    finally:
        running.close()
    assert (finished.code, finished.logs[-1]["event"]) == (0, "rotator.stopped")


def test_stop_in_the_midst_of_a_write_costs_nothing(image: Engine, site: Site) -> None:
    """SIGTERM while a key is being made: the key is waited for and seen, there is one, and the exit code is 0."""
    site.begin(due())
    site.bench.emulator.inject(Fault(what=Kind.SLOW, where=Operation.GENERATE_KEY, delay=3.0))
    running = image.start("midst", options=site.options)
    try:
        site.bench.emulator.wait_for(Operation.GENERATE_KEY, timeout=30)
        assert image.podman("stop", "--time=60", "midst").returncode == 0
        finished = running.wait()
    finally:
        running.close()
    assert finished.code == 0
    events = [line["event"] for line in finished.logs]
    assert events.index("rotator.stopping") < events.index("keyset.rotated") < events.index("rotator.stopped")
    assert len(site.bench.keys("B2C_1A_Due")) == 2


def test_wrong_configuration_ends_it_at_once(image: Engine, site: Site) -> None:
    """What is invalid ends with 78, so that a CronJob does not try again."""
    site.begin(fresh(), settle="soon")
    done = image.run("--dry-run", options=site.options)
    assert done.returncode == 78, done.stderr
    assert "settle" in done.stderr


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _spread(seconds: list[float]) -> str:
    return f"{min(seconds) * 1000:.0f} ms least, {statistics.median(seconds) * 1000:.0f} ms median of {len(seconds)}"


def _status(process: int, name: str) -> str:
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


def _children(process: int) -> list[str]:
    """Every process that it started and that is still there, a zombie too."""
    return [
        child
        for task in Path(f"/proc/{process}/task").iterdir()
        for child in (task / "children").read_text(encoding="utf-8").split()
    ]
