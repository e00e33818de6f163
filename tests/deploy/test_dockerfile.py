"""The Dockerfile, as far as it can be judged without building it; tests/image builds it and runs what comes of it."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
BUILD, FINAL = TEXT.split("\nFROM ")[1:]


def test_hadolint_finds_nothing() -> None:
    """The linter for Dockerfiles has nothing to say."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_base_comes_from_outside() -> None:
    """Both stages stand on the same base, which a release can pin by its digest."""
    assert [stage.split()[0] for stage in (BUILD, FINAL)] == ["${BASE}", "${BASE}"]
    assert re.search(r"^ARG BASE=python:\d+\.\d+-slim-\w+$", TEXT, re.MULTILINE)


def test_everything_installed_has_a_hash() -> None:
    """No package is installed but by its hash, except our own."""
    lines = re.sub(r"\\\n(#.*\n)*", " ", TEXT).splitlines()
    commands = [command for line in lines if line.startswith("RUN ") for command in line.split("&&")]
    installs = [command for command in commands if "pip" in command and " install " in command]
    assert len(installs) == 3
    bare = [command for command in installs if "--require-hashes" not in command]
    assert [re.search(r"--no-deps +(\S+)", command)[1] for command in bare] == ["rotator-*.whl"]  # type: ignore[index]


def test_final_stage_runs_as_nobody_and_is_stopped_politely() -> None:
    """The last stage sets user, command and stop signal, and does not need a shell."""
    for line in ("USER 65532:65532", 'ENTRYPOINT ["rotator"]', "STOPSIGNAL SIGTERM", "HEALTHCHECK NONE"):
        assert f"\n{line}\n" in FINAL


def test_context_has_what_is_copied_and_no_more() -> None:
    """What the Dockerfile copies is let into the build, and nothing else is."""
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE) for name in line.split()}
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignore[0] == "*"
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied
