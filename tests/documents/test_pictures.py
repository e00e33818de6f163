import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from documents import pictures
from documents.pages import read
from documents.recording import Recording, svg
from PIL import Image
from programs import need

MAX_BYTES = 200_000
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("path", [pictures.PAGE, pictures.TERMINAL], ids=lambda path: path.name)
def test_readme_shows_each_picture(path: Path) -> None:
    """Each picture is in the README with a text for those who cannot see it, and loads quickly."""
    assert re.search(rf"!\[\w[^\]]{{20,}}\]\(docs/pictures/{path.name}\)", read("README.md"))
    assert path.stat().st_size < MAX_BYTES


def test_recording_is_an_image_that_loads_nothing() -> None:
    """The SVG has neither scripts nor links to elsewhere, and its screens show the three commands."""
    shown = ET.fromstring(pictures.TERMINAL.read_text(encoding="utf-8"))
    assert {element.tag.removeprefix(SVG) for element in shown.iter()} == {
        *("svg", "title", "style", "defs", "g", "text", "rect", "use"),
    }
    links = [value for element in shown.iter() for name, value in element.attrib.items() if name.endswith("href")]
    assert links
    assert all(link.startswith("#r") for link in links)
    texts = [element.text for element in shown.iter(f"{SVG}text")]
    assert {"$ rotator --dry-run", "$ rotator --once", "$ rotator status"} <= set(texts)


def _texts(element: ET.Element) -> list[tuple[str | None, str | None, str | None]]:
    return [(each.text, each.get("fill"), each.get("font-weight")) for each in element.iter(f"{SVG}text")]


def test_recording_shows_what_a_program_prints_on_a_terminal() -> None:
    """Typing, output and colours are in the recording, each row once; the last screen is shown without motion."""
    recording = Recording(40, 5, {"PATH": "/usr/bin:/bin"})
    script = r"printf '\033[1;31mred\033[0m <plain>\n'; test -t 1 && echo terminal"
    recording.run("sh", "-c", script, program="sh")
    picture = ET.fromstring(svg(recording, "a & b"))
    defined = picture.find(f"{SVG}defs")
    assert defined is not None
    assert [each for each in _texts(defined) if each[0] in ("red", "<plain>", "terminal")] == [
        ("red", "#ff7b72", "bold"),
        ("<plain>", "#d0d7de", None),
        ("terminal", "#d0d7de", None),
    ]
    visible = [screen for screen in picture.findall(f"{SVG}g") if screen.get("visibility") is None]
    assert len(visible) == 1
    last = [use.get("href") for use in visible[0].iter(f"{SVG}use")]
    rows = {f"#{row.get('id')}": _texts(row) for row in defined}
    assert [text for name in last for text, *_ in rows[str(name)]][-3:] == ["red", "<plain>", "terminal"]


def test_recording_of_a_program_that_fails_is_refused() -> None:
    """A program that fails ends the recording, so that no picture shows an error by mistake."""
    with pytest.raises(subprocess.CalledProcessError):
        Recording(40, 5, {"PATH": "/usr/bin:/bin"}).run("false", program="false")


def test_recording_can_be_made_again() -> None:
    """`make pictures` still works on the program as it is: the recording ends with a status in which a key is new."""
    shown = ET.fromstring(pictures.terminal())
    texts = " ".join(str(text) for text, *_ in _texts(shown))
    assert "renewal_due" in texts
    assert "rotated" in texts
    assert "upcoming" in texts


def test_screenshot_can_be_made_again(tmp_path: Path) -> None:
    """`make pictures` still works on the page as it is, and the picture stays small."""
    need("chromium")
    path = tmp_path / "page.png"
    pictures.screenshot(path)
    with Image.open(path) as picture:
        width, height = picture.size
    assert width == 1000
    assert 600 < height < 3000
    assert path.stat().st_size < MAX_BYTES
