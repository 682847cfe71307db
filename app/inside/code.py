"""Runs code that a user typed, in a fresh `__main__`, as a REPL would run a file: with the last expression's value.

Its exit code is that of Python: 0, 1 for an exception, that of `sys.exit`, 130 for a KeyboardInterrupt.
"""

from __future__ import annotations
import __future__

import ast
import atexit
import builtins
import inspect
import linecache
import os
import signal
import socket
import sys
import threading
import traceback
import types
from collections.abc import Callable
from typing import Any

from .output import Quick, install
from .questions import Control, TypedInput

NAME = "<editor>"
_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_FUTURES = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_BYTE = 0xFF
_INTERRUPTED = 130


def main(descriptor: int) -> None:
    """Take the source from the control socket, run it, and end as it ends."""
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)
    control = Control(connection)
    source = str(control.wait_for("start")["params"]["source"])
    out = _prepare(control)
    code, message = _INTERRUPTED, "KeyboardInterrupt"
    try:
        code, message = run(source, lambda: control.say("begun"))
        own = signal.signal(signal.SIGINT, _note_stop)
    except KeyboardInterrupt:
        # It comes as the code begins, or has just ended.
        own = signal.signal(signal.SIGINT, _note_stop)
    out.end()
    control.say("ended", exit_code=code, message=message)
    _wait_for_threads(signal.default_int_handler if own in (_note_stop, None) else own, code)
    sys.exit(code)


def _wait_for_threads(on_stop: Any, code: int) -> None:
    """The code's own threads are waited for; Stop ends that, or is told to the code's own handler."""
    try:
        signal.signal(signal.SIGINT, on_stop)
        if _stops:
            os.kill(os.getpid(), signal.SIGINT)
        threading._shutdown()  # type: ignore[attr-defined] # what the interpreter does first at its end
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The interpreter would wait for them again.
        atexit._run_exitfuncs()
        os._exit(code)


_stops: list[int] = []


def _note_stop(number: int, _frame: types.FrameType | None) -> None:
    """While it is told how the code has ended, which takes a moment."""
    _stops.append(number)


def _prepare(control: Control) -> Quick:
    """Make this process look to the code as a Python that was just started."""
    out = install()
    typed = TypedInput(control)
    sys.stdin = typed  # text alone, without a buffer of bytes below it
    builtins.input = typed.input
    getpass = types.ModuleType("getpass")
    import getpass as original

    getpass.__dict__.update(vars(original))
    getpass.__dict__["getpass"] = typed.getpass
    sys.modules["getpass"] = getpass
    sys.argv = [NAME]
    # The working folder is the code's own: it may import what it writes.
    sys.path[0] = ""
    return out


def run(source: str, begun: Callable[[], object]) -> tuple[int, str]:
    """Run the source; answers its exit code, and the exception that ended it as one line. `begun` is called before."""
    linecache.cache[NAME] = (len(source), None, source.splitlines(keepends=True), NAME)
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    try:
        begun()
        _execute(source, module.__dict__)
    except SystemExit as error:
        code = _exit_code(error.code)
        return code, f"exit code {code}" if code else ""
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends the code alone
        _show(error)
        code = _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        return code, traceback.format_exception_only(error)[-1].strip()
    return 0, ""


def _execute(source: str, names: dict[str, Any]) -> None:
    tree = compile(source, NAME, "exec", ast.PyCF_ONLY_AST | _FLAGS, dont_inherit=True)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    before = compile(tree, NAME, "exec", _FLAGS, dont_inherit=True)
    codes = [before]
    if last is not None:
        # `from __future__ import ...` above holds for the last line too.
        flags = _FLAGS | (before.co_flags & _FUTURES)
        codes.append(compile(ast.Interactive([last]), NAME, "single", flags, dont_inherit=True))
    if not any(code.co_flags & inspect.CO_COROUTINE for code in codes):
        for code in codes:
            exec(code, names)  # noqa: S102 - this is what the sandbox is for
        return
    # It takes longer to import than all the rest here.
    import asyncio

    with asyncio.Runner() as runner:
        for code in codes:
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(types.FunctionType(code, names)())
            else:
                exec(code, names)  # noqa: S102 - as above


def _exit_code(code: object) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) & _BYTE
    sys.stderr.write(f"{code}\n")
    return 1


def _show(error: BaseException) -> None:
    """The traceback, from the first line of the editor on."""
    found = error.__traceback__
    while found is not None and found.tb_frame.f_code.co_filename != NAME:
        found = found.tb_next
    error.__traceback__ = found
    if sys.excepthook is not sys.__excepthook__:
        try:
            sys.excepthook(type(error), error, found)
        except Exception:  # noqa: BLE001 - a hook of the code's own
            traceback.print_exc()
        return
    # Python's own hook looks for the source in files alone.
    traceback.print_exception(error)
