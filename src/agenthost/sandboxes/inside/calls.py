"""Which system calls a run is refused, as a seccomp filter (classic BPF, linux/seccomp.h, linux/filter.h).

Everything newer than this table answers ENOSYS, so a call that the kernel learns tomorrow isn't
open by accident. Numbers: (x86_64, aarch64), from Linux's uapi headers; None where there is none.
"""

from __future__ import annotations

import errno
import struct

NEWEST = 450
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _GREATER_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

# Seen as "not in this kernel": programs and libc have another way for these.
ABSENT: dict[str, tuple[int | None, int | None]] = {
    "clone3": (435, 435), "openat2": (437, 437), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "userfaultfd": (323, 282), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "set_mempolicy_home_node": (450, 450), "landlock_create_ruleset": (444, 444),
}  # fmt: skip

DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "kcmp": (312, 272), "pidfd_getfd": (438, 438),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "unshare": (272, 97), "setns": (308, 268), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "bpf": (321, 280), "perf_event_open": (298, 241),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "acct": (163, 89), "swapon": (167, 224),
    "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "nfsservctl": (180, 42), "lookup_dcookie": (212, 18),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "vhangup": (153, 58), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "mbind": (237, 235), "set_mempolicy": (238, 237), "remap_file_pages": (216, 234),
    "vmsplice": (278, 75), "uselib": (134, None), "ustat": (136, None), "sysfs": (139, None),
    "_sysctl": (156, None), "create_module": (174, None), "get_kernel_syms": (177, None),
    "query_module": (178, None),
}  # fmt: skip

_NAMESPACES = 0x7E020000
_SETID = 0o6000
_CREATE = 0o20000100  # O_CREAT, O_TMPFILE
# set-id bits must not reach the host's disk, where somebody else could run the file.
_MODES = (((90, None), 1), ((91, 52), 1), ((268, 53), 2), ((85, None), 1), ((133, None), 1), ((259, 33), 2))
_OPENS = (((2, None), 1), ((257, 56), 2))


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _argument(index: int) -> bytes:
    return _step(_LOAD, 16 + 8 * index)


def _answer(code: int) -> bytes:
    return _step(_RETURN, _ERRNO | code)


def _when(number: int, body: bytes) -> bytes:
    """Do `body` (which ends in a return on every path) for one call."""
    return _step(_EQUAL, number, 0, len(body) // 8) + body


def _refuse_bits(argument: int, bits: int) -> bytes:
    return _argument(argument) + _step(_ANY_BIT, bits, 0, 1) + _answer(errno.EPERM) + _step(_RETURN, _ALLOW)


def _refuse_values(argument: int, values: tuple[int, ...], code: int) -> bytes:
    body = _argument(argument)
    for value in values:
        body += _step(_EQUAL, value, 0, 1) + _answer(code)
    return body + _step(_RETURN, _ALLOW)


def _open(flags: int) -> bytes:
    check = _argument(flags + 1) + _step(_ANY_BIT, _SETID, 0, 1) + _answer(errno.EPERM)
    return _argument(flags) + _step(_ANY_BIT, _CREATE, 0, 3) + check + _step(_RETURN, _ALLOW)


def _socket() -> bytes:
    """Unix sockets, and TCP and UDP (which reach no further than the run's own loopback)."""
    refuse = _answer(errno.EAFNOSUPPORT)
    allow = _step(_RETURN, _ALLOW)
    kinds = _argument(1) + _step(0x54, 0xF)  # and: the type without SOCK_CLOEXEC and SOCK_NONBLOCK
    unix = kinds + _step(_EQUAL, 1, 2, 0) + _step(_EQUAL, 2, 1, 0) + _step(_EQUAL, 5, 0, 1) + allow + refuse
    inet = kinds + _step(_EQUAL, 1, 1, 0) + _step(_EQUAL, 2, 0, 5) + _argument(2)
    inet += _step(_EQUAL, 0, 2, 0) + _step(_EQUAL, 6, 1, 0) + _step(_EQUAL, 17, 0, 1) + allow + refuse
    return (
        _argument(0)
        + _step(_EQUAL, 1, 0, len(unix) // 8)
        + unix
        + _step(_EQUAL, 2, 1, 0)
        + _step(_EQUAL, 10, 0, len(inet) // 8)
        + inet
        + refuse
    )


def _checked(column: int) -> bytes:
    program = b""
    for numbers, argument in _MODES:
        if (number := numbers[column]) is not None:
            program += _when(number, _refuse_bits(argument, _SETID))
    for numbers, argument in _OPENS:
        if (number := numbers[column]) is not None:
            program += _when(number, _open(argument))
    program += _when((56, 220)[column], _refuse_bits(0, _NAMESPACES))
    program += _when((41, 198)[column], _socket()) + _when((53, 199)[column], _socket())
    # TIOCSTI, TIOCSETD, TIOCLINUX: typing into, and changing, a terminal of the host's.
    program += _when((16, 29)[column], _refuse_values(1, (0x5412, 0x5423, 0x541C), errno.EPERM))
    plain = _step(_EQUAL, 0, 1, 0) + _step(_EQUAL, 0xFFFFFFFF, 0, 1)
    persona = _argument(0) + plain + _step(_RETURN, _ALLOW) + _answer(errno.EPERM)
    return program + _when((135, 92)[column], persona)


def program(machine: str) -> bytes:
    """The filter for a machine (`x86_64`, `aarch64`); any other raises KeyError."""
    column = {"x86_64": 0, "aarch64": 1}[machine]
    code = _step(_LOAD, 4) + _step(_EQUAL, _ARCH[machine], 1, 0) + _step(_RETURN, _KILL)
    code += _step(_LOAD, 0)
    if machine == "x86_64":
        code += _step(_GREATER_EQUAL, _X32, 0, 1) + _step(_RETURN, _KILL)
    code += _step(0x25, NEWEST, 0, 1) + _answer(errno.ENOSYS)
    for table, answer in ((ABSENT, errno.ENOSYS), (DENIED, errno.EPERM)):
        for numbers in table.values():
            if (number := numbers[column]) is not None:
                code += _step(_EQUAL, number, 0, 1) + _answer(answer)
    return code + _checked(column) + _step(_RETURN, _ALLOW)
