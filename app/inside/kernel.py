"""Calls to the kernel that Python has no function for."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
MS_NOSUID, MS_NODEV, MS_REMOUNT = 2, 4, 32
_CAPABILITY_VERSION = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def system_call(number: int, *arguments: int | ctypes.c_void_p | None) -> int:
    """A system call by its number.

    Raises: OSError.
    """
    plain = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *plain))


def prctl(option: int, *arguments: int) -> None:
    """Change something about this process: man 2 prctl.

    Raises: OSError.
    """
    values = [*arguments, 0, 0, 0, 0][:4]
    _checked(_libc.prctl(option, *(ctypes.c_ulong(value) for value in values)))


def keep_capabilities(*kept: int) -> None:
    """Have no capability but these, which programs that are started have too.

    Raises: OSError.
    """
    mask = sum(1 << each for each in kept)
    both = (_Capabilities * 2)(_Capabilities(mask, mask, mask), _Capabilities(0, 0, 0))
    _checked(_libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION, 0)), both))
    for each in kept:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each)


def bound_tmpfs(path: str, size: int, files: int) -> None:
    """Let the tmpfs that is mounted there hold at most so many bytes, and so many files and folders.

    Raises: OSError.
    """
    options = f"size={size},nr_inodes={files}".encode()
    _checked(_libc.mount(b"tmpfs", path.encode(), b"tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV, options))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
