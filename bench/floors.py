"""A floor: a plain asyncio websockets server that forwards what a child writes to its pipe, and keeps nothing.

The client sends `u` (unbuffered) or `b` and the code; told that the child is ready, it says when to go, so that no
start of a Python is part of a figure.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import websockets

READ_BYTES = 262_144
# A child says that it is there, and waits for its line of input.
PROLOGUE = "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\n"


async def _send(connection: websockets.ServerConnection, child: asyncio.subprocess.Process) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    await connection.send((await child.stdout.readline()).decode().strip())
    await connection.recv()
    child.stdin.write(b"\n")
    while data := await child.stdout.read(READ_BYTES):
        await connection.send(data.decode())
    await connection.send("end")


async def forward(connection: websockets.ServerConnection) -> None:
    """Run the code that the client sends, and send on what it prints until it ends or the client has gone."""
    order = str(await connection.recv())
    flags = ["-E", "-u"] if order[0] == "u" else ["-E"]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, *flags, "-c", PROLOGUE + order[1:], stdin=pipe, stdout=pipe
    )
    sending, leaving = asyncio.create_task(_send(connection, child)), asyncio.create_task(connection.wait_closed())
    try:
        # A child that prints nothing would not notice that nobody is there any more.
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        leaving.cancel()
        if child.returncode is None:
            child.kill()
        await child.wait()


async def main(port: int) -> None:
    """Serve until told to end; children end too."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with websockets.serve(forward, "127.0.0.1", port, compression=None):
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
