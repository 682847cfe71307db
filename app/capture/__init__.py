"""Capture: whatever a run's threads print reaches that run's output, and nothing else does.

`print` finds its thread's writer through `sys.stdout` (router.py), the writer (writer.py; capture.py has all of them)
cuts what it gets at line ends and puts it into the run's pipe (pipe.py), which rings the hub's bell (bell.py). One pipe
processor takes it from there for all runs (processor.py; relay.py for floods).
"""

from app.capture.capture import Capture
from app.capture.pipe import Pipe
from app.capture.processor import Pieces, PipeProcessor
from app.capture.router import bind, in_run, install
from app.capture.writer import PipeIO

__all__ = ["Capture", "Pieces", "Pipe", "PipeIO", "PipeProcessor", "bind", "in_run", "install"]
