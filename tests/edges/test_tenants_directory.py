"""Tenants in files of their own: merged, watched, and with faults that name the file."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from edges.test_config import minimal

from rotator.core.errors import ConfigError
from rotator.edges import config, config_check
from rotator.edges.config_schema import schema

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def tenant(name: str, **more: object) -> dict[str, Any]:
    """A tenant as configured."""
    (found,) = minimal()["tenants"]
    return {**found, "name": name, "tenant_id": f"{name}.onmicrosoft.com", **more}


class Files:
    """A configuration file and a directory of tenants."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rotator.yaml"
        self.directory = folder / "tenants"
        self.directory.mkdir()
        self.write({})

    def write(self, content: dict[str, object]) -> None:
        """The configuration file: *content*, and the directory."""
        self.path.write_text(json.dumps({"tenants_directory": str(self.directory), **content}), encoding="utf-8")

    def add(self, name: str, *tenants: object, **more: object) -> Path:
        """A file of the directory."""
        path = self.directory / name
        path.write_text(yaml.safe_dump({"tenants": list(tenants), **more}), encoding="utf-8")
        return path

    def names(self) -> list[str]:
        """The names of the tenants of the configuration."""
        return [each.name for each in config.load(self.path).tenants]

    def faults(self) -> list[str]:
        """What is said of the configuration, line by line."""
        with pytest.raises(ConfigError) as caught:
            config.load(self.path)
        return str(caught.value).splitlines()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_files_are_merged(files: Files) -> None:
    """Those of the configuration file come first, then those of the files by their names; hidden ones are left out."""
    files.write({"tenants": [tenant("own")]})
    files.add("20.yaml", tenant("third"))
    files.add("10.yml", tenant("first"), tenant("second"))
    files.add(".hidden.yaml", tenant("hidden"))
    files.add("notes.txt", tenant("note"))
    assert files.names() == ["own", "first", "second", "third"]


def test_directory_alone(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file needs no tenants where the directory has some; a variable can name the directory."""
    files.add("a.yaml", tenant("first"))
    assert files.names() == ["first"]
    files.path.write_text("check_interval: 1h\n", encoding="utf-8")
    monkeypatch.setenv("ROTATOR_TENANTS_DIRECTORY", str(files.directory))
    assert files.names() == ["first"]


def test_faults_name_file_line_and_path(files: Files) -> None:
    """Each fault is told where it is in its own file, whether it is within a value or between two."""
    files.write({"tenants": [tenant("own")]})
    bad = files.add("bad.yaml", tenant("first"), tenant("second", keysets=[{"id": "B2C_1A_X", "use": "what"}]))
    same = files.add("same.yaml", tenant("own", tenant_id="other.onmicrosoft.com"))
    found = files.faults()
    line = next(n for n, text in enumerate(bad.read_text().splitlines(), 1) if "use: what" in text)
    assert f"{bad}:{line}: tenants[1].keysets[0].use: must be sig or enc" in found
    assert any(each.startswith(f"{same}:") and "tenants[0].name: duplicate tenant name own" in each for each in found)


def test_same_tenant_in_two_files(files: Files) -> None:
    """Two files may not have the same tenant, under whatever name and with whatever keysets."""
    first = files.add("a.yaml", tenant("one", tenant_id="Contoso.onmicrosoft.com"))
    other = [{"id": "B2C_1A_Other", "use": "enc"}]
    second = files.add("b.yaml", tenant("two", tenant_id="contoso.onmicrosoft.com", keysets=other))
    (fault,) = [each for each in files.faults() if "the same tenant" in each]
    assert fault.startswith(f"{second}:")
    assert fault.endswith(f"tenants[0].tenant_id: the same tenant is in {first}; remove one of them")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("tenants: [", "line 1"),
        ("tenants: 5", "tenants: must be a list"),
        ("defaults: {}\ntenants: []", "defaults: a file of tenants_directory has only tenants"),
    ],
)
def test_file_of_another_form(files: Files, content: str, told: str) -> None:
    """A file that is not what it has to be is refused, and named."""
    files.add("good.yaml", tenant("first"))
    (files.directory / "odd.yaml").write_text(content, encoding="utf-8")
    assert any(each.startswith(f"{files.directory / 'odd.yaml'}") and told in each for each in files.faults())


def test_directory_that_is_missing(files: Files) -> None:
    """A directory that cannot be read is a fault of the setting."""
    files.directory.rmdir()
    assert any("tenants_directory: cannot be read: No such file or directory" in each for each in files.faults())


def test_directory_without_tenants(files: Files) -> None:
    """Without a single tenant there is nothing to do."""
    assert any("tenants: must have at least one entry" in each for each in files.faults())


def test_files_are_watched(files: Files) -> None:
    """A file that changes, comes or goes is a change; one that is wrong is one change and not many."""
    first = files.add("a.yaml", tenant("first"))
    sources = config.Sources(files.path)
    sources.load()
    assert not sources.have_changed()
    files.add("b.yaml", tenant("second"))
    assert sources.have_changed()
    assert [each.name for each in sources.load().tenants] == ["first", "second"]
    assert not sources.have_changed()
    first.write_text("tenants: [", encoding="utf-8")
    assert sources.have_changed()
    with pytest.raises(ConfigError):
        sources.load()
    assert not sources.have_changed()
    first.unlink()
    assert sources.have_changed()
    assert [each.name for each in sources.load().tenants] == ["second"]


def test_warnings_name_the_file(files: Files) -> None:
    """What is only a warning is told in its own file as well."""
    path = files.add("a.yaml", tenant("first"))
    loaded = config.read(files.path)
    found = [each.located("x") for each in config_check.warnings(loaded, NOW)]
    assert any(each.startswith(f"{path}:") and "tenants[0].credential" in each for each in found)


def test_schema_wants_either() -> None:
    """Editors accept a file with tenants, with a directory, or with both."""
    assert schema()["anyOf"] == [{"required": ["tenants"]}, {"required": ["tenants_directory"]}]
