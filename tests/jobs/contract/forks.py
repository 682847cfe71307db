"""Jobs of the contract that fork processes of their own."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from ._everywhere import everywhere


def _in_a_fork(work):
    """Do it in a process that is forked; its exit code, once it has ended."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@everywhere("process", "celery")
def forks(running, token, run):
    """Fork children that come out of their code, and some that ask."""

    def ask():
        try:
            token()
        except Exception as error:
            print(type(error).__name__, "job's own one" in str(error), flush=True)

    def tell():
        run.progress(1, 2)

    def wait():
        while running():
            time.sleep(0.01)
        print("the child was asked", flush=True)

    print("0 is", _in_a_fork(sys.exit))
    print("3 is", _in_a_fork(lambda: sys.exit(3)))
    print("1 is", _in_a_fork(lambda: 1 / 0))
    _in_a_fork(ask)
    _in_a_fork(tell)
    print("own", bool(token()))
    print("waits", flush=True)
    _in_a_fork(wait)
    print("running" if running() else "the job was asked")


@everywhere("process", "celery")
def forks_sleep():
    """Fork a child that sleeps, and is interrupted with its parent."""

    def sleep():
        try:
            print("asleep", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            print("the child was interrupted", flush=True)

    try:
        _in_a_fork(sleep)
    finally:
        # Where the wait was interrupted.
        with contextlib.suppress(ChildProcessError):
            os.wait()
