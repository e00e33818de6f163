"""The demo as somebody types it: what it shows, what it proves, and that its proof can fail."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

KEYSETS = {"Signing", "HandMade", "Undated", "Empty", "Encryption"}
ROW = re.compile(r"^(\w+) +([\w-]{8}) +(\d+\.\d)s +(\d+\.\d)s +(\d+\.\d)s +(\d+\.\d)s +(\S+(?: end)?)$", re.MULTILINE)


def demo(*, site: Path | None = None) -> subprocess.Popen[str]:
    """Start it; what is in *site* is loaded by every interpreter of it first."""
    return subprocess.Popen(
        [sys.executable, "-m", "rotator", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **({"PYTHONPATH": str(site)} if site else {})},
    )


def test_demo_rotates_without_a_gap() -> None:
    """Within half a minute every keyset gets its own keys, with lead and overlap, and there is no gap."""
    out, err = demo().communicate(timeout=90)
    assert err == ""
    assert "No gap: in 3" in out
    assert "ended with exit code 0" in out
    rows = [(keyset, overlap) for keyset, *_, overlap in ROW.findall(out)]
    assert {keyset for keyset, _ in rows} == KEYSETS
    assert len(rows) >= 12
    known = {"Signing": {"4s"}, "Encryption": {"4s"}, "Undated": {"no end", "4s"}}
    for keyset, overlaps in known.items():  # a slow machine may be late with the first key, and shorten its overlap
        assert overlaps <= {overlap for name, overlap in rows if name == keyset}
    _assert_in_order(out)
    _assert_proven(out)
    assert out.splitlines()[0].startswith("Rotations of five keysets")
    assert {*KEYSETS, "due", "generated", "published", "takes over", "signs"} <= set(
        re.findall(r"^  (\w+(?: over)?)  ", out, re.MULTILINE)
    )
    assert re.search(r"^What to do next:\n(?:.*\n)+  rotator demo --forever ", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def _assert_in_order(out: str) -> None:
    """Times never go back, and no key takes over before it is generated, neither in a line nor in the table."""
    lines = [(float(seconds), text) for seconds, text in re.findall(r"^ *(\d+\.\d)s  (.*)$", out, re.MULTILINE)]
    assert lines == sorted(lines, key=lambda line: line[0])
    generated: set[tuple[str, str]] = set()
    taken: set[tuple[str, str]] = set()
    for _, text in lines:
        keyset, *words = text.split()
        if "generated," in words:
            generated.add((keyset, words[0]))
        elif "takes over" in text:
            taken.add((keyset, words[0]))
            assert (keyset, words[0]) in generated, text
    assert {keyset for keyset, _ in taken} == KEYSETS
    for _, kid, born, takes_over, expires, *_ in ROW.findall(out):
        assert float(born) <= float(takes_over) < float(expires), kid
    assert "UTC" not in out, "a second clock"


def _assert_proven(out: str) -> None:
    """Relying parties see each key that signs, after it was generated; a token or Graph shows which key is in use."""
    said = re.findall(r"^ *\d+\.\ds  (\w+) +([\w-]{8}) (generated|published|signs|encrypts)", out, re.MULTILINE)
    assert {keyset for keyset, _, what in said if what == "published"} == KEYSETS - {"Encryption"}
    assert {("Signing", "signs"), ("Encryption", "encrypts")} <= {(keyset, what) for keyset, _, what in said}
    for position, (keyset, kid, what) in enumerate(said):
        if what != "generated":
            assert (keyset, kid, "generated") in said[:position], kid


@pytest.mark.parametrize(
    ("more", "is_coloured"), [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_demo_has_colours_on_a_terminal(more: dict[str, str], *, is_coloured: bool) -> None:
    """On a terminal what happens has a colour, unless NO_COLOR is set."""
    ours, theirs = os.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "rotator", "demo"], stdin=theirs, stdout=theirs, env={**kept, **more}
    ) as process:
        os.close(theirs)
        shown = b""
        while b"generated, active from" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # the other end is closed
            while os.read(ours, 4096):
                pass
    os.close(ours)
    assert (b"\x1b[36m" in shown) is is_coloured


def test_demo_ends_at_ctrl_c() -> None:
    """Ctrl-C stops the daemon as well, and tells its result until then."""
    process = demo()
    assert process.stdout is not None
    for line in process.stdout:
        if "generated, active from" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert "ended with exit code 0" in out


@pytest.mark.parametrize(
    ("deed", "said"),
    [("os._exit(9)", "ended with exit code 9"), ("threading.Event().wait()", "GAP: Signing had no valid key from")],
    ids=["the daemon dies", "the daemon does nothing"],
)
def test_demo_proof_can_fail(tmp_path: Path, deed: str, said: str) -> None:
    """Where the daemon does not do what it is for, the demo says so, and ends with 1."""
    script = f"import os, sys, threading\nif '--config' in sys.orig_argv:\n    {deed}\n"
    (tmp_path / "sitecustomize.py").write_text(script)
    process = demo(site=tmp_path)
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 1
    assert said in out
