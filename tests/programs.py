"""Programs that tests run for real; programs.sh installs them."""

import os
import shutil

import pytest


def need(*programs: str) -> None:
    """Skip the test where one of them is missing; in CI it fails, since there nothing may be left out."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} missing: `make programs` installs it on Debian"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
