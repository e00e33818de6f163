"""Completion as each shell does it, with the script that `rotator completion` prints for it."""

import subprocess
from pathlib import Path

import pytest
from end_to_end.harness import Bench
from programs import need

BASH = 'COMP_WORDS=(rotator {0}); COMP_CWORD=1; _shtab_rotator; echo "${{COMPREPLY[@]}}"'

ZSH = """\
zmodload zsh/zpty
zpty shell "TERM=dumb zsh -f -i"
zpty -w shell 'PROMPT=; fpath=({folder} $fpath); autoload -Uz compinit && compinit -u -D; print -r -- re""ady'
zpty -r shell line '*ready*'
zpty -w -n shell 'rotator {words}'$'\\t'
zpty -r shell line '*{expected}*' && print -r -- '{expected}'
zpty -d shell
"""
"""An interactive zsh on a terminal of its own, where words and a tab are typed. The script is in its `fpath`."""


def _lines(*command: str, home: Path, script: str = "") -> list[str]:
    done = subprocess.run(
        command,
        input=script,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(bench: Bench, shell: str) -> None:
    """The script names commands, options and their values, and the shell can parse it."""
    need(shell)
    run = bench.run("completion", shell)
    assert (run.code, run.err) == (0, "")
    words = ("status", "detailed-exitcode", "tenant", "table", "json", "emulator", "seed")
    assert [word for word in words if word not in run.out] == []
    subprocess.run([shell, "-n"], input=run.out, text=True, check=True, timeout=60)


def test_bash(bench: Bench, tmp_path: Path) -> None:
    """In bash, `rotator sta` becomes `rotator status`."""
    script = bench.run("completion", "bash").out
    assert _lines("bash", "-c", f"{script}\n{BASH.format('sta')}", home=tmp_path) == ["status"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("sta", ["status"], id="a command"),
        pytest.param("config ", ["check", "init", "schema"], id="verbs"),
        pytest.param("--output ", ["json", "table"], id="values"),
    ],
)
def test_fish(bench: Bench, tmp_path: Path, words: str, expected: list[str]) -> None:
    need("fish")
    (tmp_path / "script.fish").write_text(bench.run("completion", "fish").out)
    asked = f"source {tmp_path}/script.fish; complete -C 'rotator {words}'"
    found = _lines("fish", "--no-config", "-c", asked, home=tmp_path)
    assert sorted(line.partition("\t")[0] for line in found) == expected


@pytest.mark.parametrize(("words", "expected"), [("stat", "status"), ("config sch", "schema")])
def test_zsh(bench: Bench, tmp_path: Path, words: str, expected: str) -> None:
    need("zsh")
    (tmp_path / "_rotator").write_text(bench.run("completion", "zsh").out)
    typed = ZSH.format(folder=tmp_path, words=words, expected=expected)
    assert _lines("zsh", "-f", "-c", typed, home=tmp_path) == [expected]
