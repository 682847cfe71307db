"""Code that tries to get out of the sandbox by the network, at each level that isolates."""

from __future__ import annotations

import os
import socket

import pytest

from app.config import load_settings
from app.sandbox import Sandbox
from app.sandbox.probe import run
from tests.integration.sandbox_fixture import SECONDS, TRY, Cell


def test_the_store_is_out_of_reach(cell: Cell, valkey_url: str) -> None:
    """The store's Unix socket and TCP ports of this machine cannot be connected to; nor abstract sockets."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0realtime-" + str(os.getpid()))
        abstract.listen()
        printed = cell.type(
            TRY
            + """
import socket
def connect(kind, place, how=socket.SOCK_STREAM):
    with socket.socket(kind, how) as each:
        each.settimeout(3)
        each.connect(place)
        if how == socket.SOCK_DGRAM:
            each.send(b"x")
    return True
attempt("unix", lambda: connect(socket.AF_UNIX, store))
attempt("unix datagram", lambda: connect(socket.AF_UNIX, store, socket.SOCK_DGRAM))
attempt("abstract", lambda: connect(socket.AF_UNIX, abstract))
attempt("tcp", lambda: connect(socket.AF_INET, ("127.0.0.1", port)))
attempt("tcp 6", lambda: connect(socket.AF_INET6, ("::ffff:127.0.0.1", port)))
attempt("redis", lambda: connect(socket.AF_INET, ("127.0.0.1", 6379)))
""",
            store=valkey_url.removeprefix("unix://"),
            abstract="\0realtime-" + str(os.getpid()),
            port=tcp.getsockname()[1],
        )
    assert "BROKE OUT" not in printed, printed
    assert printed.count("refused") == 6


def test_there_is_no_network(cell: Cell) -> None:
    """No metadata address, no TCP, UDP, DNS, raw or netlink sockets to anywhere, and nobody can connect in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        printed = cell.type(
            TRY
            + """
import socket
def send(kind, how, place, connects=True, protocol=0):
    with socket.socket(kind, how, protocol) as each:
        each.settimeout(2)
        each.connect(place) if connects else each.sendto(b"x", place)
    return True
attempt("metadata", lambda: send(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)))
attempt("metadata 6", lambda: send(socket.AF_INET6, socket.SOCK_STREAM, ("fd00:ec2::254", 80)))
attempt("udp", lambda: send(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port), connects=False) and False)
attempt("udp out", lambda: send(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53), connects=False))
attempt("dns", lambda: socket.getaddrinfo("example.org", 443))
attempt("raw", lambda: send(socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0), False, socket.IPPROTO_ICMP))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW))
attempt("netlink", lambda: socket.socket(16, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
import urllib.request
attempt("http", lambda: urllib.request.urlopen("http://169.254.169.254/latest/meta-data/", timeout=2).read())
""",
            port=listening.getsockname()[1],
        )
        with pytest.raises(BlockingIOError):
            listening.recv(10)
    assert "BROKE OUT" not in printed, printed


def test_the_network_comes_alone(cell: Cell) -> None:
    """With CODE_NETWORK=on code reaches this machine's TCP and UDP, and still no Unix socket, file or process."""
    settings = load_settings(None, sandbox=str(cell.sandbox.level), code_network="on", key_dir=str(cell.key.parent))
    sandbox = Sandbox(settings)
    assert sandbox.level is cell.sandbox.level, sandbox.report
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0network-" + str(os.getpid()))
        abstract.listen()
        room = sandbox.room()
        source = f"""
import asyncio, socket
socket.create_connection(("127.0.0.1", {tcp.getsockname()[1]})).close()
print("connected")
print(socket.getaddrinfo("localhost", 80)[0][4][1])
for how in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
        with socket.socket(socket.AF_UNIX, how) as each: each.connect("\\0network-{os.getpid()}")
        print("BROKE OUT")
    except OSError: print("refused")
try: print("BROKE OUT", open({str(cell.key)!r}).read())
except OSError: print("refused")
"""
        code, printed = run(room, source, SECONDS)
        room.cleanup()
    assert code == 0, printed
    assert "connected\n80\n" in printed
    assert printed.count("refused") == 3
    assert "BROKE OUT" not in printed
