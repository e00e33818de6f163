"""The entry point of the command line: it calls the command. Modules that are slow to import are imported when used."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from rotator.argument_types import CREDENTIALS, Parser
from rotator.arguments import CONFIG_VARIABLE, DEFAULT_CONFIG, SHARD, parser

__all__ = ["entry", "main", "parser"]

_T = TypeVar("_T")
STDERR = 2  # the last of the standard streams
HAVE_OUTPUT = ("status", "token", "simulate", "rotate", "doctor")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in *arguments* and return its exit code."""
    root = parser()
    options = root.parse_args(arguments)
    _refuse_nonsense(root, options)
    # They override the file, at each reload as well.
    os.environ |= {name: str(value) for name, value in vars(options).items() if name.startswith(SHARD)}
    path = getattr(options, "config", None) or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    match options.command:
        case "help":
            root.parse_args([*options.words, "--help"])  # ends the program
        case "version":
            root.parse_args(["--version"])
        case "completion":
            from rotator.commands.completion import completion  # noqa: PLC0415 - only here is the library needed

            return completion(options.shell)
        case "emulator" | "demo":
            return _emulate(root, options)
        case "config" | "discover" | "doctor":
            return _configure(root, path, options)
        case "rotate" | "simulate":
            return (_rotate if options.command == "rotate" else _simulate)(root, path, options)
        case _ if options.command in ("status", "token") or options.once or options.dry_run:
            return _inspect(path, options)
        case _:
            pass
    from rotator.commands.serve import daemon  # noqa: PLC0415 - help, version and a bad command line answer without it

    return daemon(path)


def _refuse_nonsense(root: Parser, options: argparse.Namespace) -> None:
    """Exit with `USAGE` if options cannot be combined."""
    one_shot = options.once or options.dry_run
    if one_shot and options.command:
        root.error(f"--once and --dry-run cannot be combined with the command {options.command}")
    if options.detailed_exitcode and not options.dry_run:
        root.error("--detailed-exitcode needs --dry-run")
    if "output" in options and not (one_shot or options.command in HAVE_OUTPUT):
        root.error("--output needs --once, --dry-run, status, token, rotate, doctor or simulate")
    for name in ("tenant", "keyset"):
        if options.command == "rotate" or (name == "tenant" and options.command in ("discover", "doctor")):
            continue
        if name in options and not (one_shot or options.command == "status"):
            root.error(f"--{name} needs --once, --dry-run or status")
    takes_shard = one_shot or options.command in (None, "run", "status")
    if not takes_shard and any(name.startswith(SHARD) for name in vars(options)):
        root.error("--shard and --total-shards need run, --once, --dry-run or status")
    if options.command == "status" and options.watch and "output" in options and options.output == "json":
        root.error("--watch cannot be combined with --output json, which is one document")


def _configure(root: Parser, path: Path, options: argparse.Namespace) -> int:
    if options.command == "discover":
        return _discover(root, path, options)
    if options.command == "doctor":
        from rotator.commands.doctor import doctor  # noqa: PLC0415 - as above

        as_json = getattr(options, "output", "table") == "json"
        return doctor(path, tuple(getattr(options, "tenant", ())), as_json=as_json)
    from rotator.commands import check  # noqa: PLC0415 - as above

    match options.verb:
        case "schema":
            return check.print_schema()
        case "init":
            return check.print_starter()
        case _:
            return check.check(path, strict=options.strict)


def _discover(root: Parser, path: Path, options: argparse.Namespace) -> int:
    """Discover the tenant in the options, or those of the configuration."""
    from rotator.commands import discover  # noqa: PLC0415 - as above
    from rotator.edges.sign_in_settings import policy_name  # noqa: PLC0415

    policies = _parsed(root, "--policy", options.policy, policy_name)
    credential = {name.replace("-", "_"): vars(options)[name.replace("-", "_")] for name in CREDENTIALS}
    given = {name: value for name, value in credential.items() if value is not None}
    if not (options.tenant_id or options.client_id or options.cloud or given):
        return discover.of_configuration(path, tuple(getattr(options, "tenant", ())), policies)
    if "tenant" in options or "config" in options:
        root.error("discover needs a configuration, or --tenant-id with a credential, but not both")
    if not (options.tenant_id and options.client_id and len(given) == 1):
        names = ", ".join(f"--{name}" for name in CREDENTIALS)
        root.error(f"discover without a configuration needs --tenant-id, --client-id and one of {names}")
    credential_settings = {"client_id": options.client_id, **given}
    return discover.of_tenant(options.tenant_id, options.cloud or "global", credential_settings, policies)


def _inspect(path: Path, options: argparse.Namespace) -> int:
    from rotator.commands.one_shot import Call  # noqa: PLC0415 - as above
    from rotator.commands.selection import Selection  # noqa: PLC0415

    if options.command == "token":
        from rotator.commands.token import token  # noqa: PLC0415

        return token(path, as_json=getattr(options, "output", "table") == "json")
    chosen = Selection(tenants=tuple(getattr(options, "tenant", ())), keysets=tuple(getattr(options, "keyset", ())))
    call = Call(path=path, as_json=getattr(options, "output", "table") == "json", selection=chosen)
    if options.once:
        from rotator.commands.once import once  # noqa: PLC0415

        return once(call)
    from rotator.commands import inspect  # noqa: PLC0415

    if options.dry_run:
        return inspect.dry_run(call, detailed=options.detailed_exitcode)
    look = inspect.Look(is_brief=options.brief, only_problems=options.problems, has_others=options.all)
    return inspect.watch(call, look) if options.watch else inspect.status(call, look)


def _rotate(root: Parser, path: Path, options: argparse.Namespace) -> int:
    from rotator.commands.one_shot import Call  # noqa: PLC0415 - as above
    from rotator.commands.rotate import rotate  # noqa: PLC0415
    from rotator.commands.selection import Selection  # noqa: PLC0415

    chosen = Selection(tenants=(options.tenant,), keysets=(options.keyset,))
    call = Call(path=path, as_json=getattr(options, "output", "table") == "json", selection=chosen)
    if options.now and options.compromised:
        root.error("--compromised does what --now does, and more: give one of them")
    if options.now or options.compromised:
        from rotator.commands.emergency import replace_now  # noqa: PLC0415

        return replace_now(call, options.compromised, is_agreed=options.yes, only_plan=options.only_plan)
    return rotate(call, is_agreed=options.yes, only_plan=options.only_plan)


def _simulate(root: Parser, path: Path, options: argparse.Namespace) -> int:
    from rotator.commands import simulate  # noqa: PLC0415 - as above
    from rotator.edges.config_changes import parse_change  # noqa: PLC0415
    from rotator.simulation.outage import parse_outage  # noqa: PLC0415

    output = getattr(options, "output", "table")
    if options.compare is not None and output not in ("table", "json"):
        root.error("--compare needs --output table or json")
    return simulate.run(
        simulate.Call(
            path=path,
            years=options.years,
            live=options.live,
            seed=options.seed,
            outages=_parsed(root, "--outage", options.outage, parse_outage),
            changes=_parsed(root, "--set", options.set, parse_change),
            output=output,
            check=options.check,
            compare=options.compare,
        )
    )


def _parsed(root: Parser, option: str, texts: Sequence[str], parse: Callable[[str], _T]) -> tuple[_T, ...]:
    """The parsed values of an option that can be given several times; exits if one is not valid."""
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ValueError as error:
            root.error(f"{option}: {error}")
    return tuple(found)


def _emulate(root: Parser, options: argparse.Namespace) -> int:
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
        message = f"{options.command} needs the package {error.name}; install it: pip install 'rotator[emulator]'"
        root.exit(1, f"rotator: {message}\n")


def entry() -> NoReturn:
    """
    The console script.

    SIGTERM and SIGINT end the process at once, until a command sets its own handlers: until then nothing
    has to be finished. Without handlers, process 1 of a container would ignore these signals.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _end)
    _open_standard_streams()
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader of a command that would go on has ended
        sys.exit(128 + signal.SIGPIPE)
    finally:
        _flush()


def _flush() -> None:
    """Write what is left in the buffer of stdout."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        from rotator.edges.stdout import give_up  # noqa: PLC0415 - as above

        give_up(sys.stdout, error)


def _end(number: int, _: object) -> NoReturn:
    """End the process at once; on a terminal, say that nothing was written."""
    if os.isatty(2):
        os.write(2, b"\r\033[Kstopped; nothing was written\n")
    os._exit(128 + number)


def _open_standard_streams() -> None:
    """
    Open the null device for each standard stream that was closed at the start (`2>&-`).

    Otherwise the first files and connections would get the descriptors 0 to 2, and a log line would raise.
    `sys.stdout` stays None: a report that cannot be written is a failure.
    """
    number = os.open(os.devnull, os.O_RDWR)
    while number <= STDERR:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - stays open until the process ends
