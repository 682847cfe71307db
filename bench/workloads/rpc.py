"""JSON-RPC: round trips of an echo, one after the other, side by side, and in batches."""

from __future__ import annotations

import json

from bench.checks import check
from bench.figures import PRODUCT, Figure, Sheet
from bench.workloads.api import CALLERS, Caller, ask, connected
from bench.workloads.lab import Lab, Workload

CALLS, QUICK_CALLS = 3000, 100
BATCHES, QUICK_BATCHES = 200, 10
BATCH = 50
PATH = "/rpc"


def round_trips(lab: Lab, sheet: Sheet) -> None:
    """An echo on one connection, on sixteen, then fifty echoes a time on one."""
    count, batches = lab.size(CALLS, QUICK_CALLS), lab.size(BATCHES, QUICK_BATCHES)
    call = {"jsonrpc": "2.0", "id": "ID1", "method": "reverse", "params": ["stressed"]}
    with lab.product() as product:
        answer = product.person.http.post(f"{product.url}{PATH}", json=[call] * BATCH, timeout=20)
        check([each.get("result") for each in answer.json()] == ["desserts"] * BATCH, f"no echo: {answer.text[:200]}")
        caller = Caller(product)
        request = caller.post(PATH, json.dumps(call).encode())
        with connected(caller.port, 1) as clients:
            _, took = ask(clients, request, count)
            sheet.spread("rpc", PRODUCT, took)
        with connected(caller.port, CALLERS) as clients:
            seconds, _ = ask(clients, request, count)
            sheet.put("rpcs", PRODUCT, count / seconds)
        with connected(caller.port, 1) as clients:
            seconds, _ = ask(clients, caller.post(PATH, json.dumps([call] * BATCH).encode()), batches)
            sheet.put("rpc-batches", PRODUCT, BATCH * batches / seconds)


WORKLOADS = (
    Workload(
        "rpc",
        round_trips,
        (
            Figure("rpcs", "JSON-RPC round trips (an echo), 16 at a time", "calls/s", digits=0),
            Figure("rpc.p50", "one round trip after the other: p50", "ms"),
            Figure("rpc.p99", "one round trip after the other: p99", "ms"),
            Figure("rpc-batches", "calls in batches of 50, one batch after the other", "calls/s", digits=0),
        ),
    ),
)
