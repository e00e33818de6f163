"""The parser of a command line, and the types of its options."""

import argparse
from typing import NoReturn

USAGE = 64  # EX_USAGE of sysexits.h; argparse's 2 means here that a rotation is due
MAX_PORT = 65535
MAX_YEARS = 30
MAX_DIGITS = 4
MAX_MESSAGE = 240  # characters of a complaint

CLOUDS = ("global", "china", "usgov", "usgov-dod")
CREDENTIALS = {
    "client-secret-file": "a file with the client secret",
    "certificate-file": "the private key and its certificate, as PEM or PKCS#12",
    "federated-token-file": "a file with an assertion that another program renews",
}
"""The options of `discover` for the credential. Without a configuration, one of them is required."""

EXIT_CODES = """\
exit codes:
  0   nothing is wrong (a rotation may be due)
  1   a keyset could not be looked at, or a rotation failed
  2   only with --detailed-exitcode: nothing is wrong, and a rotation is due
  3   a keyset is overdue or has no valid key, and this run did not rotate it
  4   only with rotate: a new key was asked for, and the old one is not disabled
  64  the command line is invalid
  78  the configuration is invalid
If several apply, the first of 64, 78, 1, 3, 2, 0 is returned.
doctor returns 1 if something is wrong, and 3 if a rotation would fail.
"""
"""The last part of the help."""


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line with a hint, and exits with `USAGE`."""

    def error(self, message: str) -> NoReturn:
        """Print *message*, without control characters and at most `MAX_MESSAGE` characters of it, and exit."""
        shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in message[:MAX_MESSAGE])
        self.exit(USAGE, f"{self.prog}: {shown}\nTry '{self.prog} --help'.\n")


def years(text: str) -> float:
    """A number of years, more than 0 and up to `MAX_YEARS`."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= MAX_YEARS:
        msg = f"{text!r} is not a valid number of years (more than 0, up to {MAX_YEARS})"
        raise argparse.ArgumentTypeError(msg)
    return number


def port(text: str) -> int:
    """A port; 0 is any free one."""
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_PORT):
        msg = f"{text!r} is not a valid port (0-65535)"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def number(text: str) -> int:
    """A whole number from 0, of up to `MAX_DIGITS` digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        msg = f"{text!r} is not a whole number of up to {MAX_DIGITS} digits"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
