"""A wall clock that can be set while a real process runs: libfaketime replaces the calls to the kernel."""

from pathlib import Path

from programs import need


class FakeClock:
    """The clock of who is started with `environment`; its monotonic one is left alone."""

    def __init__(self, folder: Path) -> None:
        need("faketime")
        (self._library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self._offset = folder / "offset"
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        """For the process."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: int) -> None:
        """Set it to so many seconds ahead of everybody else's."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._offset)
