"""A profile of the web server while a workload runs, by py-spy where that is installed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.checks import check
from bench.product import Product

FORMATS = {".svg": "flamegraph", ".json": "speedscope"}
SAMPLES = "500"


def profiler() -> str:
    """Where py-spy is.

    Raises: Wrong where it is not installed.
    """
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    check(found, "py-spy is not installed: pip install py-spy")
    return str(found)


@contextmanager
def profiled(product: Product, file: Path | None) -> Iterator[None]:
    """Profile the web server during the block into `file` (.svg, .json for speedscope, else stacks as text)."""
    if file is None:
        yield
        return
    command = [profiler(), "record", "--threads", "--rate", SAMPLES, "--format", FORMATS.get(file.suffix, "raw")]
    command += ["--output", str(file.absolute()), "--pid", str(product.server()[-1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        check("Sampling" in said, f"py-spy: {said}")
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
