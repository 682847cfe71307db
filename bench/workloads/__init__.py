"""The workloads, in the order in which they run."""

from __future__ import annotations

from bench.workloads import api, channels, control, huge, latency, many, memory, rpc, throughput
from bench.workloads.lab import Lab, Workload

_MODULES = (throughput, latency, many, control, memory, huge, api, channels, rpc)
WORKLOADS: dict[str, Workload] = {each.name: each for module in _MODULES for each in module.WORKLOADS}

__all__ = ["WORKLOADS", "Lab", "Workload"]
