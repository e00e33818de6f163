import re
from pathlib import Path

import pytest
from documents.pages import OF_OURS, ROOT, anchors, prose

PAGES = (*OF_OURS, ROOT / "deploy" / "README.md", ROOT / "deploy" / "runbook.md")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
EXPECTED = frozenset({ROOT / "docs" / "development.md"})
"""A page that may not be there yet."""


def _problem(page: Path, link: str) -> str | None:
    target, _, anchor = link.partition("#")
    path = (page.parent / target).resolve() if target else page
    if path in EXPECTED and not path.exists():
        return None
    if not path.is_relative_to(ROOT) or not path.exists():
        return f"{link}: there is no such file"
    return f"{link}: there is no such heading" if anchor and anchor not in anchors(path) else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file of the repository or to a heading leads to one that is there."""
    links = [link for link in LINK.findall(prose(page)) if "://" not in link]
    assert [problem for link in links if (problem := _problem(page, link))] == []


def _named_files(page: Path) -> list[str]:
    """The files of the repository that a page names in code style: with a folder that is a generated one."""
    folders = {path.name for base in (ROOT, ROOT / "rotator") for path in base.iterdir() if path.is_dir()} - {"build"}
    names = re.findall(r"`([\w.-]+/[\w./-]*|\w+\.py)`", prose(page))
    return [name for name in names if name.endswith(".py") or name.partition("/")[0] in folders]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    """Each file or folder of ours that a page names is there, in the repository or in the package."""
    linked = {Path(link).name for link in LINK.findall(prose(page))}
    missing = [
        name
        for name in _named_files(page)
        if name not in linked and not any((base / name).exists() for base in (ROOT, ROOT / "rotator"))
    ]
    assert missing == []


def test_pages_name_files() -> None:
    """The test above has something to look at."""
    assert len([name for page in PAGES for name in _named_files(page)]) > 60


def test_functions_that_are_named_exist() -> None:
    """Each function that the page for developers names is one of the program's."""
    names = set(re.findall(r"`(\w+)\(\)`", prose(ROOT / "docs" / "development.md")))
    assert len(names) > 4
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "rotator").rglob("*.py"))
    assert {name for name in names if f"def {name}(" not in code} == set()


def test_every_page_is_linked_from_the_readme() -> None:
    """The README leads to every page below docs/."""
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(prose(ROOT / "README.md"))}
    assert set((ROOT / "docs").glob("*.md")) - linked == set()


def test_readme_is_short() -> None:
    """The README has less than 200 lines; everything else is on its own page."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


def test_status_page_links_to_nothing_external() -> None:
    """The status page links to its own parts, paths of the same server, and the configured runbook and shards."""
    folder = ROOT / "rotator" / "views" / "templates"
    template = "".join(path.read_text(encoding="utf-8") for path in folder.iterdir())
    own = r"#|/(?!/)|\{\{ query\.address\(|\{\{ icons\[level\] \}\}$|\{\{ process\.runbook_url \}\}#|\{\{ address \}\}$"
    targets = re.findall(r'(?:href|src|action)="([^"]*)"', template)
    assert targets
    assert [target for target in targets if not re.match(own, target)] == []
