"""
Starts the program in a process that has imported it already.

Most of what a short run costs is the import of libraries, the same each time. A *template* process
imports them once for each worker of pytest, and forks for each start. Each fork is a process of its own with its
own arguments, environment, output, signals and exit code, and runs `python -m rotator` from its first line on.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import IO

TEMPLATE = """
import json, os, runpy, signal, socket, sys

import rotator.cli, rotator.wiring, rotator.commands.inspect, rotator.commands.once, rotator.commands.one_shot
import rotator.commands.report, rotator.commands.serve, rotator.commands.token, rotator.service.process, msal

def become(request, out, err, status):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        os.close(out), os.close(err)
        os.write(status, f"{child}\\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(status, f"{code}\\n".encode())
        os._exit(0)
    os.close(status)
    os.dup2(out, 1), os.dup2(err, 2)
    os.close(out), os.close(err)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = ["rotator", *request["arguments"]]

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
requests = socket.socket(fileno=int(sys.argv[1]))
while True:
    text, handles, _, _ = socket.recv_fds(requests, 1 << 20, 3)
    if not text:
        os._exit(0)
    if not os.fork():
        requests.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        become(json.loads(text), *handles)
        break
    for handle in handles:
        os.close(handle)
runpy.run_module("rotator", run_name="__main__", alter_sys=True)
"""


class Forked:
    """A process that was forked from the template, with the part of `subprocess.Popen` that the bench uses."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        (out, to_out), (err, to_err), (self._status, to_status) = os.pipe(), os.pipe(), os.pipe()
        request = {"arguments": list(arguments), "environment": dict(environment)}
        handles = (to_out, to_err, to_status)
        socket.send_fds(_template(), [json.dumps(request).encode()], handles)
        for handle in handles:
            os.close(handle)
        self.stdout: IO[str] = os.fdopen(out, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(err, encoding="utf-8")
        self.returncode: int | None = None
        self._told = b""
        while b"\n" not in self._told:
            self._hear()
        self.pid = int(self._told.partition(b"\n")[0])

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("rotator", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        until = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if until is None else max(until - time.monotonic(), 0)
            if not select.select([self._status], [], [], left)[0]:
                return None
            self._hear()
            if self._told.count(b"\n") == 2:
                self.returncode = int(self._told.split(b"\n")[1])
                os.close(self._status)
        return self.returncode

    def _hear(self) -> None:
        told = os.read(self._status, 100)
        assert told, "the process that waits for it has died"
        self._told += told


@cache
def _template() -> socket.socket:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-c", TEMPLATE, str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # block-buffered in the template, as the pipe of each fork
        )
    atexit.register(process.wait)
    atexit.register(ours.close)  # the template ends then; what is registered last comes first
    return ours
