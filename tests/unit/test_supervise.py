"""What supervises runs, as a program."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.serving import ROOT


@pytest.mark.parametrize("module", ["app.supervise", "app.runner", "app.worker", "app.child.template"])
def test_supervision_has_no_word_of_the_web(module: str) -> None:
    """A runner, a Celery worker and the template of their runs import neither eventlet nor the web server's parts."""
    script = f"import json, sys, {module}; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"eventlet", "flask_socketio", "socketio", "engineio", "gunicorn"} & set(json.loads(done.stdout))
