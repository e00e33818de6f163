"""
The command line. Nothing heavy is imported before it makes sense.

Exit codes for usage are 64 and not argparse's 2, which here means that a rotation
is due; see sysexits.h.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rotator import __version__

USAGE = 64
LARGEST_PORT = 65535
STDERR = 2  # the last of the standard streams
CONFIG_VARIABLE = "ROTATOR_CONFIG"
DEFAULT_CONFIG = "config/rotator.yaml"

_EPILOG = """\
exit codes:
  0   nothing is wrong (a rotation may be due)
  1   a keyset could not be looked at, or a rotation failed
  2   only with --detailed-exitcode: nothing is wrong, and a rotation is due
  3   a keyset is overdue or has no valid key, and this run did not rotate it
  64  the command line is invalid
  78  the configuration is invalid
Where several hold, the first of 64, 78, 1, 3, 2, 0 is returned.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = _Parser(
        prog="rotator",
        description="Rotates the policy keysets of Azure AD B2C tenants ahead of their expiry. "
        "Without a command it runs as a daemon: a sweep at once, then every check_interval.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"rotator {__version__}")
    _common(root)
    how = root.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="one sweep that generates what is due, then exit")
    how.add_argument("--dry-run", action="store_true", help="one sweep that only reads; print the plan, then exit")
    root.add_argument("--detailed-exitcode", action="store_true", help="with --dry-run: 2 where a rotation is due")

    commands = root.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    status = commands.add_parser(
        "status", help="what every keyset looks like, and what happens next", allow_abbrev=False
    )
    _common(status)
    config = commands.add_parser("config", help="check the configuration, or print its JSON Schema", allow_abbrev=False)
    verbs = config.add_subparsers(dest="verb", metavar="check|schema", required=True, parser_class=_Parser)
    _config_option(verbs.add_parser("check", help="say what is wrong with the configuration", allow_abbrev=False))
    verbs.add_parser("schema", help="print the JSON Schema of the configuration", allow_abbrev=False)
    _emulator_options(
        commands.add_parser("emulator", help="serve an emulated B2C tenant on loopback", allow_abbrev=False)
    )
    demo = commands.add_parser("demo", help="watch rotations happen on an emulated tenant", allow_abbrev=False)
    demo.add_argument("--forever", action="store_true", help="go on until Ctrl-C")
    return root


def _common(to: argparse.ArgumentParser) -> None:
    _config_option(to)
    to.add_argument(
        "--output",
        choices=("table", "json"),
        default=argparse.SUPPRESS,
        help="with --once, --dry-run and status: how the report looks (default table)",
    )


def _config_option(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,  # so that a command's own default does not undo what stands before it
        help=f"the configuration (default ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG})",
    )


def _emulator_options(to: argparse.ArgumentParser) -> None:
    to.add_argument("--host", default="127.0.0.1", help="where to listen; loopback only (default %(default)s)")
    to.add_argument("--port", type=_port, default=8443, help="0: any free port (default %(default)s)")
    to.add_argument("--seed", type=Path, metavar="FILE", help="the tenants to begin with (default: a demo tenant)")
    to.add_argument("--state", type=Path, metavar="FILE", help="keep everything in this file over restarts")
    to.add_argument(
        "--directory", type=Path, metavar="DIR", help="where CA file and configuration go (default: a new one)"
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= LARGEST_PORT):
        msg = f"{text!r} is not a valid port (0-65535)"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* give; its exit code."""
    root = parser()
    options = root.parse_args(arguments)
    one_shot = options.once or options.dry_run
    if one_shot and options.command:
        root.error(f"--once and --dry-run do not go with the command {options.command}")
    if options.detailed_exitcode and not options.dry_run:
        root.error("--detailed-exitcode needs --dry-run")
    if "output" in options and not (one_shot or options.command == "status"):
        root.error("--output needs --once, --dry-run or status")
    if options.command in ("emulator", "demo"):
        return _emulate(root, options)
    path = getattr(options, "config", None) or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    if options.command == "config":
        from rotator.commands import check  # noqa: PLC0415 - help, version and a bad command line answer without it

        return check.print_schema() if options.verb == "schema" else check.check(path)
    as_json = getattr(options, "output", "table") == "json"
    if options.dry_run or options.command == "status":
        from rotator.commands import inspect  # noqa: PLC0415 - as above

        if options.dry_run:
            return inspect.dry_run(path, as_json=as_json, detailed=options.detailed_exitcode)
        return inspect.status(path, as_json=as_json)
    if options.once:
        from rotator.commands.once import once  # noqa: PLC0415 - as above

        return once(path, as_json=as_json)
    from rotator.commands.serve import daemon  # noqa: PLC0415 - as above

    return daemon(path)


def _emulate(root: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    try:
        if options.command == "demo":
            from rotator.commands import demo  # noqa: PLC0415 - only here are the emulator's own libraries needed

            return demo.run(forever=options.forever)
        from rotator.emulator import command  # noqa: PLC0415

        return command.serve(
            seed=options.seed, state=options.state, host=options.host, port=options.port, directory=options.directory
        )
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "rotator":
            raise
        root.exit(1, f"rotator: {options.command} needs {error.name}: install rotator with its extra, emulator\n")


def entry() -> NoReturn:
    """
    The console script.

    Until a command has ways of its own, SIGTERM and SIGINT end it on the spot: nothing is under
    way that would have to be finished. As process 1 it would not even hear of them otherwise.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: os._exit(128 + number))
    _open_standard_streams()
    sys.exit(main())


def _open_standard_streams() -> None:
    """
    Give what was started with closed standard streams (`2>&-`) the null device in their place.

    Else the first files and connections would get their numbers, and what is logged would raise.
    stdout stays None in Python: a report that nobody can read is a failure.
    """
    number = os.open(os.devnull, os.O_RDWR)
    while number <= STDERR:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
