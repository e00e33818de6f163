"""The page of the control endpoints: what it shows, and that each of its commands works."""

import json
import re
import shlex
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from programs import need

from rotator.emulator.control_page import FAULTS, Page
from rotator.emulator.faults.fault import Fault, Kind

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def page(bench) -> str:
    """The page as a browser gets it."""
    reply = bench.http.get("/_emulator/", headers=BROWSER)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    return reply.text


def commands(text: str) -> list[str]:
    """The commands of a page, in order."""
    return [unescape(found) for found in re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)]


def run(command: str) -> dict[str, Any]:
    """What a command prints, as JSON."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, ""), command
    return json.loads(done.stdout)


class Nesting(HTMLParser):
    """Notes each element that is not closed where it must be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag, attrs):
        del attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.wrong.append(tag)


def test_page_is_for_browsers_alone(bench):
    """A program gets JSON from the same address; the page is well-formed."""
    assert bench.http.get("/_emulator/").json()["url"] == bench.emulator.url
    nesting = Nesting()
    nesting.feed(page(bench))
    assert (nesting.open, nesting.wrong) == ([], [])


def test_page_names_tenants_and_active_faults(bench):
    """It lists each keyset, and each fault with the number of requests that it was applied to."""
    assert "None." in page(bench)
    bench.token()
    bench.emulator.inject(Fault(what=Kind.HTML))
    bench.graph("GET")
    text = page(bench)
    assert "B2C_1A_Enc" in text
    assert "1: html at every operation, hit 1 times" in text
    assert "None." not in text


def test_each_kind_has_an_example():
    """No kind of fault is left out."""
    assert list(FAULTS) == list(Kind)


def test_example_of_each_fault_works(bench):
    """Each command injects a fault of its kind, with the members that the example has."""
    need("curl")
    found = [each for each in commands(page(bench)) if '"what"' in each]
    assert len(found) == len(Kind)
    for kind, command in zip(Kind, found, strict=True):
        injected = run(command)
        (active,) = bench.emulator.faults.active
        assert (active.number, active.fault.what) == (injected["number"], kind)
        members = FAULTS[kind][1]
        assert {name: injected[name] for name in members} == members
        active.remove()


def test_other_commands_work(bench):
    """The commands that read, remove, move the clock and add a key answer without an error, and do so."""
    need("curl")
    bench.emulator.inject(Fault(what=Kind.WRONG_DATE))
    before, keys = bench.emulator.now(), len(bench.kids())
    others = [each for each in commands(page(bench)) if '"what"' not in each]
    assert [shlex.split(each)[-1].rpartition("/")[2] for each in others if "--data" not in each] == [
        "faults",
        "requests",
        "switches",
    ]
    for command in others:
        assert "error" not in run(command), command
    assert bench.emulator.faults.active == ()
    assert bench.emulator.now() - before == 30 * 86_400
    assert len(bench.kids()) == keys + 1


def test_path_is_one_word_of_each_command():
    """The file with the CA may have any name."""
    file = Path("/tmp/it's <here>/ca.pem")
    body = Page(url="https://localhost:8443", ca_file=file, tenants=()).answer(()).body
    assert isinstance(body, bytes)
    text = body.decode()
    assert {shlex.split(command)[4] for command in commands(text)} == {str(file)}
