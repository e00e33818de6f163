"""
The command line as argparse parsers: commands, options and their help texts.

The help, the man page and the shell completions are generated from it. It must be fast to import,
so it imports nothing of rotator but the types of options.
"""

import argparse
from pathlib import Path

from rotator import __version__
from rotator.argument_types import CLOUDS, CREDENTIALS, EXIT_CODES, MAX_YEARS, Parser, number, port, years

CONFIG_VARIABLE = "ROTATOR_CONFIG"
DEFAULT_CONFIG = "config/rotator.yaml"
SHARD = "ROTATOR_SHARD__"  # begins the variables that --shard and --total-shards stand for
SHELLS = ("bash", "zsh", "fish")


def parser() -> Parser:
    """The parser of the whole command line."""
    root = Parser(
        prog="rotator",
        description="Rotates the policy keysets of Azure AD B2C tenants ahead of their expiry.\n"
        "Without a command it runs as a daemon: a sweep at once, then every check_interval.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"rotator {__version__}")
    _config_option(root)
    _output_option(root)
    _selection(root)
    _shard_options(root)
    how = root.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="one sweep that generates what is due, then exit")
    how.add_argument("--dry-run", action="store_true", help="one sweep that only reads; print the plan, then exit")
    root.add_argument(
        "--detailed-exitcode", action="store_true", help="with --dry-run: exit with 2 if a rotation is due"
    )
    _commands(root.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser))
    return root


def _commands(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the parser of each command."""
    run = commands.add_parser("run", help="run as a daemon, the same as without a command", allow_abbrev=False)
    _config_option(run)
    _shard_options(run)
    _status_options(
        commands.add_parser(
            "status", help="print the status of every keyset, and its next rotation", allow_abbrev=False
        )
    )
    _simulate_options(
        commands.add_parser("simulate", help="simulate the rotations of the coming years", allow_abbrev=False)
    )
    _rotate_options(
        commands.add_parser("rotate", help="replace the key of one keyset ahead of time", allow_abbrev=False)
    )
    token = commands.add_parser(
        "token", help="say which key signed or encrypted the token on stdin", allow_abbrev=False
    )
    _config_option(token)
    _output_option(token)
    _config_command(
        commands.add_parser(
            "config", help="check the configuration, print its JSON Schema, or a file to start with", allow_abbrev=False
        )
    )
    _discover_options(
        commands.add_parser(
            "discover", help="read the keysets of a tenant, and print a configuration for them", allow_abbrev=False
        )
    )
    doctor = commands.add_parser("doctor", help="check access and set-up, and write nothing", allow_abbrev=False)
    for option in (_config_option, _output_option, _tenant_option):
        option(doctor)
    _emulator_options(
        commands.add_parser("emulator", help="serve an emulated B2C tenant on loopback", allow_abbrev=False)
    )
    demo = commands.add_parser("demo", help="watch rotations happen on an emulated tenant", allow_abbrev=False)
    demo.add_argument("--forever", action="store_true", help="continue until Ctrl-C")
    _about_itself(commands)


def _about_itself(commands: "argparse._SubParsersAction[Parser]") -> None:
    explain = commands.add_parser("help", help="print the help of rotator or of a command", allow_abbrev=False)
    explain.add_argument("words", nargs="*", metavar="COMMAND", help="such as status, or config check")
    commands.add_parser("version", help="print the version", allow_abbrev=False)
    completion = commands.add_parser("completion", help="print a script that completes commands", allow_abbrev=False)
    completion.add_argument("shell", choices=SHELLS, metavar="bash|zsh|fish", help="the shell that will run the script")


def _config_option(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,  # so that the default of a command does not replace an option before the command
        help=f"the configuration (default ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG})",
    )


def _shard_options(to: argparse.ArgumentParser) -> None:
    for option, name, text in (
        ("--shard", "INDEX", "the share of the tenants that this process has, from 0"),
        ("--total-shards", "TOTAL", "how many shares there are"),
    ):
        to.add_argument(option, type=number, metavar="N", dest=f"{SHARD}{name}", default=argparse.SUPPRESS, help=text)


def _output_option(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--output",
        choices=("table", "json"),
        default=argparse.SUPPRESS,
        help="with --once, --dry-run, status, token, rotate and doctor: the format of the report (default table)",
    )


def _selection(to: argparse.ArgumentParser) -> None:
    for name, metavar in (("tenant", "NAME"), ("keyset", "ID")):
        to.add_argument(
            f"--{name}",
            action="append",
            metavar=metavar,
            default=argparse.SUPPRESS,
            help=f"with --once, --dry-run{', discover' if name == 'tenant' else ''} and status: only this {name}; "
            "can be given several times",
        )


def _status_options(to: argparse.ArgumentParser) -> None:
    _config_option(to)
    _output_option(to)
    _selection(to)
    _shard_options(to)
    to.add_argument("--brief", action="store_true", help="a line for each keyset")
    to.add_argument("--problems", action="store_true", help="only keysets that are urgent or failed")
    to.add_argument("--all", action="store_true", help="also the keysets of the tenants that are not configured")
    to.add_argument("--watch", action="store_true", help="look again every 30 seconds, until Ctrl-C")


def _rotate_options(to: argparse.ArgumentParser) -> None:
    _config_option(to)
    _output_option(to)
    to.add_argument("--tenant", required=True, metavar="NAME", help="the tenant, as the configuration calls it")
    to.add_argument("--keyset", required=True, metavar="ID", help="the keyset whose key is replaced")
    to.add_argument(
        "--now", action="store_true", help="the new key takes over at once; calendars and holds do not bind"
    )
    to.add_argument(
        "--compromised",
        action="append",
        default=[],
        metavar="KID",
        help="as --now, and disable this key once the new one signs; can be given several times",
    )
    to.add_argument("--yes", action="store_true", help="do not ask for the keyset's name")
    to.add_argument("--dry-run", dest="only_plan", action="store_true", help="print the plan, and write nothing")


def _discover_options(to: argparse.ArgumentParser) -> None:
    _config_option(to)
    _tenant_option(to)
    text = "also read the JWKS of this policy, and print which keysets it lists; can be given several times"
    to.add_argument("--policy", action="append", metavar="NAME", default=[], help=text)
    direct = to.add_argument_group("without a configuration")
    direct.add_argument("--tenant-id", metavar="ID", help="the GUID or a domain of the tenant")
    direct.add_argument("--client-id", metavar="ID", help="the application (client) id of the app registration")
    for option, text in CREDENTIALS.items():
        direct.add_argument(f"--{option}", metavar="FILE", help=text)
    direct.add_argument("--cloud", choices=CLOUDS, help="where the tenant is (default global)")


def _tenant_option(to: argparse.ArgumentParser) -> None:
    text = "only this tenant of the configuration; can be given several times"
    to.add_argument("--tenant", action="append", metavar="NAME", default=argparse.SUPPRESS, help=text)


def _simulate_options(to: argparse.ArgumentParser) -> None:
    _config_option(to)
    to.add_argument("--years", type=years, default=3.0, help=f"up to {MAX_YEARS} (default 3)")
    begin = to.add_mutually_exclusive_group()
    begin.add_argument("--live", action="store_true", help="begin with the keysets as they are, by one list per tenant")
    begin.add_argument(
        "--from",
        dest="seed",
        type=Path,
        metavar="SEED.yaml",
        help="begin with the keysets of this file (default: none)",
    )
    to.add_argument(
        "--outage",
        action="append",
        default=[],
        metavar="BEGIN+SPAN[:reads|writes|all]",
        help="a time in which requests fail, such as 2027-03-01+5d:writes; can be given several times",
    )
    to.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting by its path, such as defaults.renewal_window=3d; can be given several times",
    )
    to.add_argument(
        "--output", choices=("table", "json", "svg", "ics"), default=argparse.SUPPRESS, help="(default table)"
    )
    to.add_argument("--check", action="store_true", help="exit with 3 if a promise is broken")
    to.add_argument(
        "--compare",
        type=Path,
        metavar="OTHER.yaml",
        help="print the differences to the same simulation with this configuration",
    )


def _config_command(to: argparse.ArgumentParser) -> None:
    verbs = to.add_subparsers(dest="verb", metavar="check|schema|init", required=True, parser_class=Parser)
    check = verbs.add_parser("check", help="check the configuration and the files that it names", allow_abbrev=False)
    _config_option(check)
    check.add_argument("--strict", action="store_true", help="exit with 78 if there are only warnings")
    verbs.add_parser("schema", help="print the JSON Schema of the configuration", allow_abbrev=False)
    verbs.add_parser("init", help="print a short configuration to start with", allow_abbrev=False)


def _emulator_options(to: argparse.ArgumentParser) -> None:
    to.add_argument("--host", default="127.0.0.1", help="where to listen; loopback only (default %(default)s)")
    to.add_argument("--port", type=port, default=8443, help="0: any free port (default %(default)s)")
    to.add_argument("--seed", type=Path, metavar="FILE", help="the tenants at the start (default: a demo tenant)")
    to.add_argument("--state", type=Path, metavar="FILE", help="keep the state in this file across restarts")
    to.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="where to write the CA file and the configuration (default: a new directory)",
    )
