"""The man page is made of the same parsers as `--help`."""

import re
import subprocess
import sys
from pathlib import Path

from documents.pages import ROOT

from rotator import arguments


def test_man_page_has_what_help_has(tmp_path: Path) -> None:
    """`make man` writes a page with every option, command and exit code that `--help` has."""
    recipe = re.search(r"argparse-manpage (.*?) --output", (ROOT / "Makefile").read_text().replace("\\\n", ""))
    assert recipe
    page = tmp_path / "rotator.1"
    options = [each.strip('"') for each in re.findall(r'"[^"]*"|\S+', recipe[1])]
    program = Path(sys.executable).with_name("argparse-manpage")
    subprocess.run([program, *options, "--output", page], check=True, timeout=60, cwd=ROOT)
    text = page.read_text(encoding="utf-8").replace("\\-", "-")
    said = arguments.parser().format_help()
    words = {*re.findall(r"--[a-z-]+", said), *re.findall(r"^    ([a-z]+) ", said, re.MULTILINE), "exit codes"}
    assert {word for word in words if word not in text} == {"--help"}
    assert "The configuration is invalid".lower() in text
