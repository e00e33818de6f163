# mypy: disable-error-code="arg-type"
# Texts are given for enums, as users may.
"""Sockets and TLS: certificates, names, connections."""

import contextlib
import socket
import ssl
import statistics
import time

import httpx
import pytest

from rotator.emulator.server import Emulator


def test_tls_is_real(bench):
    """A client that does not trust the CA gets no connection, and no bug is reported."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(bench.emulator.url, trust_env=False)
    assert bench.http.get("/_emulator/").status_code == 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_names(bench, name):
    """The certificate is for every loopback name."""
    assert bench.http.get(f"https://{name}:{bench.emulator.port}/_emulator/").status_code == 200


def test_more_names(clock):
    """It can be for further names as well."""
    with Emulator(clock=clock, names=("emulator.test",)) as emulator:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        raw = socket.create_connection(("127.0.0.1", emulator.port))
        with context.wrap_socket(raw, server_hostname="emulator.test") as secure:
            assert secure.version() == "TLSv1.3"


def test_ipv6():
    """It listens on ::1 if that is wanted."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with Emulator(host="::1") as emulator:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        url = f"https://[::1]:{emulator.port}/_emulator/"
        assert httpx.get(url, verify=context, trust_env=False).json()["url"] == url[:-11]


def test_stalled_handshake(bench):
    """A client that stalls in its handshake keeps nobody else out."""
    with socket.create_connection(("127.0.0.1", bench.emulator.port)):
        assert bench.http.get("/_emulator/").status_code == 200


def test_garbage_on_the_wire(bench):
    """A client that does not use TLS, or HTTP, is not reported as a bug."""
    with socket.create_connection(("127.0.0.1", bench.emulator.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            plain.recv(100)
    context = ssl.create_default_context(cafile=str(bench.emulator.ca_file))
    raw = socket.create_connection(("127.0.0.1", bench.emulator.port))
    with context.wrap_socket(raw, server_hostname="localhost") as secure:
        secure.sendall(b"nonsense\r\n\r\n")
        assert secure.recv(100)
    assert bench.emulator.errors == ()


def test_keep_alive(bench):
    """Many requests share one connection, and each is quick."""
    bench.emulator.switch(throttle_per_app=0, throttle_per_tenant=0)
    bench.graph("GET", "/B2C_1A_Sig")
    spans = []
    for _ in range(100):
        began = time.perf_counter()
        bench.graph("GET", "/B2C_1A_Sig")
        spans.append(time.perf_counter() - began)
    # On an idle machine 2 ms. Packets that wait for each other cost 40 each; a machine that stands still costs one.
    assert statistics.median(spans) < 0.03


def test_close_cuts(start):
    """Closing ends every connection, the idle ones, too."""
    bench = start()
    bench.graph("GET")
    bench.emulator.close()
    with pytest.raises(httpx.TransportError):
        bench.graph("GET")


def test_strict_verification(bench):
    """The certificates pass what Python 3.13 demands by default: all of RFC 5280 that OpenSSL checks."""
    context = ssl.create_default_context(cafile=str(bench.emulator.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert httpx.get(f"{bench.emulator.url}/_emulator/", verify=context, trust_env=False).status_code == 200
