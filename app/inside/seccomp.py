"""The system calls that typed code may not make, by libseccomp, which knows their numbers on each machine."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from dataclasses import dataclass, field

LIBRARY = "libseccomp.so.2"
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NOT_EQUAL, _LESS, _EQUAL, _GREATER, _MASKED = 1, 2, 4, 6, 7
_LOW = 0xFFFFFFFF

# Other namespaces and mounts: doors out of this one, and where most holes of kernels were.
_NAMESPACES = [
    "unshare",
    "setns",
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "open_tree_attr",
]
# Other processes' memory, files and keys; io_uring does what this filter cannot see.
_OTHERS = [
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "process_mrelease",
    "pidfd_getfd",
    "kcmp",
    "move_pages",
    "migrate_pages",
    "keyctl",
    "add_key",
    "request_key",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "userfaultfd",
    "bpf",
    "perf_event_open",
    "open_by_handle_at",
    "name_to_handle_at",
    "fanotify_init",
]
# The machine itself.
_MACHINE = [
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "init_module",
    "finit_module",
    "delete_module",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "quotactl_fd",
    "syslog",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "iopl",
    "ioperm",
    "sethostname",
    "setdomainname",
    "vhangup",
    "mknod",
    "mknodat",
    "nfsservctl",
    "lookup_dcookie",
]
# Shared with all others, where there is no namespace of its own.
_SHARED = [
    "shmget",
    "shmat",
    "shmctl",
    "msgget",
    "msgctl",
    "msgsnd",
    "msgrcv",
    "semget",
    "semop",
    "semctl",
    "semtimedop",
    "mq_open",
    "mq_unlink",
]
# What the owner of a file may do to it without opening it: Landlock does not look at these.
_OWNERS = [
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
]
# What anybody may do to a file that all may write to, and hardly any code does to its own.
_ATTRIBUTES = [
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "setxattrat",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "removexattrat",
    "file_setattr",
]
# What one process may do to another of the same user; 0 is the caller itself.
_TO_PROCESS = {
    "prlimit64": 0,
    "sched_setaffinity": 0,
    "sched_setscheduler": 0,
    "sched_setparam": 0,
    "sched_setattr": 0,
    "setpriority": 1,
    "ioprio_set": 1,
}
_SIGNALS = ["kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"]
# Newer than a library may be; from 424 on the numbers are the same on every machine.
_NEWER = {
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_setattr": 469,
}
_NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX


@dataclass(frozen=True)
class Walls:
    """What else holds the process, so that the filter does the rest.

    `namespaces`: its own for processes, mounts, IPC; `network`: it may use the machine's; `user`: its uid is its own;
    `signals`: the kernel keeps its signals from others; `truncates`: the kernel looks at truncate(2).
    """

    namespaces: bool = False
    network: bool = False
    user: bool = False
    signals: bool = False
    truncates: bool = False


class _Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@dataclass
class _Filter:
    library: ctypes.CDLL
    context: ctypes.c_void_p = field(default_factory=ctypes.c_void_p)

    def refuse(self, name: str, *when: tuple[int, int, int, int], error: int = errno.EPERM) -> None:
        number = self.library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            number = _NEWER.get(name, -1)
        if number < 0:
            return  # this machine has no such call
        compares = (_Compare * len(when))(*(_Compare(*each) for each in when))
        code = self.library.seccomp_rule_add_array(self.context, _ERRNO | error, number, len(when), compares)
        if code:
            raise OSError(-code, f"{name}: {os.strerror(-code)}")


def restrict(walls: Walls) -> None:
    """Refuse what the other walls leave open, for this process and all that it starts; it cannot be undone.

    The process has no_new_privs already. Raises: OSError, also where the library is missing.
    """
    library = ctypes.CDLL(LIBRARY, use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    )
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    made = _Filter(library, ctypes.c_void_p(library.seccomp_init(_ALLOW)))
    _always(made)
    _sockets(made, walls)
    if not walls.namespaces:
        _without_namespaces(made, walls)
    code = library.seccomp_load(made.context)
    if code:
        raise OSError(-code, os.strerror(-code))


def _always(made: _Filter) -> None:
    for name in (*_NAMESPACES, *_OTHERS, *_MACHINE):
        made.refuse(name)
    # Its flags are in memory, where no filter can look: the C library then takes `clone`.
    made.refuse("clone3", error=errno.ENOSYS)
    for flag in _NEW_NAMESPACES:
        made.refuse("clone", (0, _MASKED, flag, flag))
    for request in _TERMINAL_INPUT:
        made.refuse("ioctl", (1, _MASKED, _LOW, request))


def _sockets(made: _Filter, walls: Walls) -> None:
    if not walls.namespaces and not walls.network:
        made.refuse("socket", error=errno.EACCES)
        return
    # A kind is an int, and the filter sees 64 bits: what is larger is refused whole.
    allowed = {int(socket.AF_INET), int(socket.AF_INET6)}
    if walls.namespaces and not walls.network:
        allowed.add(int(socket.AF_UNIX))
    for kind in set(range(max(allowed))) - allowed:
        made.refuse("socket", (0, _EQUAL, kind, 0), error=errno.EACCES)
    made.refuse("socket", (0, _GREATER, max(allowed), 0), error=errno.EACCES)


def _without_namespaces(made: _Filter, walls: Walls) -> None:
    for name in (*_SHARED, *_ATTRIBUTES):
        made.refuse(name)
    if not walls.truncates:
        made.refuse("truncate")
    if walls.user:
        return
    for name in _OWNERS:
        made.refuse(name)
    for name, argument in _TO_PROCESS.items():
        made.refuse(name, (argument, _NOT_EQUAL, 0, 0))
    if not walls.signals:
        for name in _SIGNALS:
            made.refuse(name)
        # raise() and abort() go on working.
        made.refuse("tgkill", (0, _NOT_EQUAL, os.getpid(), 0))
