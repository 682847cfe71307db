"""The workloads, in the order in which they run."""

from __future__ import annotations

from bench.workloads import latency, throughput
from bench.workloads.lab import Lab, Workload

WORKLOADS: dict[str, Workload] = {each.name: each for each in (*throughput.WORKLOADS, *latency.WORKLOADS)}

__all__ = ["WORKLOADS", "Lab", "Workload"]
