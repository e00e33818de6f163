"""
What a browser shows of each whole page, to look at after a change of the page: `make screens`.

For each page of surfaces.py there is a PNG for 390 and for 1400 pixels, in light and in dark. They are in
build/screens, and not compared with anything: they depend on the browser and the fonts of the machine.
"""

import itertools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops
from views.surfaces import SURFACES

FOLDER = Path(__file__).parents[2] / "build" / "screens"
WIDTHS = (390, 1400)
SCHEMES = {"light": (), "dark": ("--blink-settings=preferredColorScheme=0",)}
MAX_HEIGHT, MARGIN = 8000, 24
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars")

# No window can be as narrow as a phone, but a frame can.
FRAME = (
    '<!DOCTYPE html><body style="margin:0"><iframe style="border:0;width:{width}px;height:{height}px" src="page.html">'
)


def shoot(page: str, width: int, scheme: str, path: Path) -> None:
    """Write a PNG of *page* to *path*, *width* pixels wide and as high as its content, at most `MAX_HEIGHT`."""
    with tempfile.TemporaryDirectory(prefix="screens-") as name:
        folder, shot = Path(name), Path(name, "shot.png")
        (folder / "page.html").write_text(page, encoding="utf-8")
        (folder / "frame.html").write_text(FRAME.format(width=width, height=MAX_HEIGHT), encoding="utf-8")
        options = (f"--window-size=1400,{MAX_HEIGHT}", f"--user-data-dir={folder / 'profile'}", f"--screenshot={shot}")
        command = ["chromium", *FLAGS, *options, *SCHEMES[scheme], (folder / "frame.html").as_uri()]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        with Image.open(shot) as picture:
            painted = picture.convert("RGB").crop((0, 0, width, MAX_HEIGHT))
    paper = Image.new("RGB", painted.size, painted.getpixel((0, MAX_HEIGHT - 1)))
    box = ImageChops.difference(painted, paper).getbbox()
    assert box is not None, "the page is empty"
    painted.crop((0, 0, width, min(box[3] + MARGIN, MAX_HEIGHT))).save(path, optimize=True)


def main() -> None:
    """Write all of them. Raises: SystemExit where Chromium is missing."""
    if shutil.which("chromium") is None:
        sys.exit("chromium: is not installed; `make programs` installs it on Debian")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for surface, width, scheme in itertools.product(SURFACES, WIDTHS, SCHEMES):
        path = FOLDER / f"{surface.replace(' ', '-')}-{width}-{scheme}.png"
        shoot(SURFACES[surface](), width, scheme, path)
        sys.stdout.write(f"{path.relative_to(FOLDER.parents[1])}\n")


if __name__ == "__main__":
    main()
