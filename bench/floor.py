"""The floor: a plain asyncio websockets server that forwards what a child writes to its pipe, and keeps nothing."""

from __future__ import annotations

import asyncio
import sys

import websockets

READ_BYTES = 262_144


async def forward(connection: websockets.ServerConnection) -> None:
    """Run the code that the client sends, with a buffered stdout, and send on what it prints until it ends."""
    code = await connection.recv()
    child = await asyncio.create_subprocess_exec(sys.executable, "-E", "-c", code, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    while data := await child.stdout.read(READ_BYTES):
        await connection.send(data.decode())
    await connection.send("end")


async def main(port: int) -> None:
    """Serve for ever."""
    async with websockets.serve(forward, "127.0.0.1", port, compression=None):
        print("ready", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
