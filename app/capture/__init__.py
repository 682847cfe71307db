"""Capture: whatever a run's threads print reaches that run's output, and nothing else does.

`print` finds the run's own writer through `sys.stdout` (router.py), the writer cuts what it gets at line ends and
puts it into the run's pipe (writer.py, pipe.py), and the pipe processor takes it from there in the hub (processor.py).
"""

from app.capture.pipe import Pipe
from app.capture.processor import pipe_processor
from app.capture.router import bind, in_run, install
from app.capture.writer import Capture, PipeIO

__all__ = ["Capture", "Pipe", "PipeIO", "bind", "in_run", "install", "pipe_processor"]
