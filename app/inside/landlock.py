"""Landlock: the kernel's way to let a process see fewer files, and speak to fewer others, without any privilege.

The numbers are those of <linux/landlock.h>; `abi` says which of them this kernel knows.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from .kernel import system_call

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1  # a flag: tell the version instead of making rules
_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE
_FILES = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights over files there are by version; 16 from 5 on
_TCP = 3  # to bind, and to connect
_SCOPES = 3  # abstract Unix sockets, and signals

TRUNCATES, TCP_SINCE, SCOPES_SINCE = 3, 4, 6


class _Rules(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def abi() -> int:
    """The version of Landlock that this kernel has; 0: none, or it is switched off."""
    try:
        return system_call(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def everything() -> int:
    """Every right over files that this kernel knows."""
    return (1 << _FILES.get(abi(), 16)) - 1


def restrict(readable: Iterable[str], folder: str, devices: Iterable[str], *, network: bool) -> None:
    """Leave this process, and all that it starts, these: paths to read and execute from, one folder to do all in.

    Without `network` no TCP either. No signals to others, where the kernel has that. It cannot be undone.

    Raises: OSError.
    """
    version, handled = abi(), everything()
    tcp = _TCP if version >= TCP_SINCE and not network else 0
    rules = _Rules(handled, tcp, _SCOPES if version >= SCOPES_SINCE else 0)
    size = 8 if version < TCP_SINCE else 16 if version < SCOPES_SINCE else 24
    made = system_call(_CREATE, ctypes.cast(ctypes.byref(rules), ctypes.c_void_p), size, 0)
    for path in readable:
        _allow(made, path, READ & handled)
    for path in devices:
        _allow(made, path, DEVICE & handled)
    _allow(made, folder, handled & ~(MAKE_CHAR | MAKE_BLOCK))
    system_call(_RESTRICT, made, 0)
    os.close(made)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(found).st_mode):
            rights &= EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
        rule = _Beneath(rights, found)
        system_call(_ADD, rules, _PATH_BENEATH, ctypes.cast(ctypes.byref(rule), ctypes.c_void_p), 0)
    finally:
        os.close(found)
