"""The system calls that anything in a container may make: the wall around the filter that each run has (`inside.calls`).

What isn't named here isn't in the kernel (ENOSYS), so that a call that the kernel learns tomorrow isn't open by
accident. Calls of other conventions (32 bits, x32) end the process. The first process needs no call that a run may
not make, so the refusals are the same; but the two are written apart, one by what is allowed and one by what is not.
"""

import errno
import functools
import json
from collections.abc import Sequence
from typing import Any

ALLOWED = (
    # files by name
    "access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs readlink readlinkat getcwd chdir "
    "fchdir mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat truncate "
    "ftruncate fallocate umask chown lchown fchown fchownat utime utimes futimesat utimensat getdents getdents64 "
    "getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr "
    "lremovexattr fremovexattr inotify_init inotify_init1 inotify_add_watch inotify_rm_watch flock sync syncfs "
    # files by descriptor
    "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range dup dup2 dup3 "
    "fcntl ioctl fsync fdatasync sync_file_range fadvise64 readahead sendfile copy_file_range splice tee pipe pipe2 poll "
    "ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 "
    " eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime "
    # memory
    "mmap munmap mremap mprotect madvise msync mincore mlock mlock2 munlock mlockall munlockall brk membarrier "
    "pkey_alloc pkey_free pkey_mprotect get_mempolicy "
    # processes and threads
    "fork vfork execve execveat exit exit_group wait4 waitid getpid getppid gettid getpgid setpgid getpgrp getsid "
    "setsid set_tid_address futex futex_waitv set_robust_list get_robust_list rseq arch_prctl prctl sched_yield "
    "sched_getaffinity sched_getparam sched_getscheduler sched_getattr sched_get_priority_max "
    "sched_get_priority_min sched_rr_get_interval getpriority setpriority getrlimit setrlimit prlimit64 getrusage "
    "times getcpu ioprio_get ioprio_set pidfd_open pidfd_send_signal restart_syscall set_thread_area get_thread_area "
    # signals and time
    "kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigreturn rt_sigsuspend rt_sigtimedwait "
    "rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack pause alarm getitimer setitimer timer_create timer_settime "
    "timer_gettime timer_getoverrun timer_delete time gettimeofday clock_gettime clock_getres nanosleep "
    "clock_nanosleep "
    # users and rights: to give up what one has
    "getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid setresgid "
    "setfsuid setfsgid setgroups capget capset seccomp "
    # sockets
    "bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt sendto recvfrom sendmsg "
    "recvmsg sendmmsg recvmmsg "
    # the rest that programs ask
    "uname sysinfo getrandom"
)
"""Names as libseccomp knows them; on an architecture that lacks one it stands for nothing."""

_SETID = 0o6000
_DEVICE = 0o020000  # S_IFCHR and S_IFBLK have this bit, pipes and sockets don't
_NAMESPACES = 0x7E020000
_PLAIN = (0, 0xFFFFFFFF)  # personality: Linux's own, and the question which it is
_UNIX, _INET, _INET6 = 1, 2, 10


def _rule(names: str, *args: dict[str, Any], action: str = "SCMP_ACT_ALLOW", number: int = 0) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names.split(), "action": action, "args": list(args)}
    return {**rule, "errnoRet": number} if number else rule


def _argument(index: int, op: str, value: int, two: int = 0) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": two, "op": f"SCMP_CMP_{op}"}


def _without(index: int, bits: int) -> dict[str, Any]:
    """An argument that has none of these bits."""
    return _argument(index, "MASKED_EQ", bits, 0)


def _rules() -> Sequence[dict[str, Any]]:
    sockets = [_rule("socket socketpair", _argument(0, "EQ", family)) for family in (_UNIX, _INET, _INET6)]
    return [
        _rule(ALLOWED),
        *sockets,
        _rule("clone", _without(0, _NAMESPACES)),
        _rule("chmod fchmod", _without(1, _SETID)),
        _rule("fchmodat", _without(2, _SETID)),
        _rule("mknod", _without(1, _SETID | _DEVICE)),
        _rule("mknodat", _without(2, _SETID | _DEVICE)),
        _rule("creat", _without(1, _SETID)),
        # The mode counts only where something is made; whoever makes nothing leaves rubbish there.
        _rule("open", _without(1, 0o20000100)),
        _rule("open", _without(2, _SETID)),
        _rule("openat", _without(2, 0o20000100)),
        _rule("openat", _without(3, _SETID)),
        *(_rule("personality", _argument(0, "EQ", value)) for value in _PLAIN),
        _rule("clone3", action="SCMP_ACT_ERRNO", number=errno.ENOSYS),
        _rule("mount umount2 unshare setns ptrace bpf keyctl", action="SCMP_ACT_ERRNO", number=errno.EPERM),
    ]


@functools.cache
def profile() -> str:
    """JSON in Docker's form of a profile: the engine picks the architecture that is its own."""
    return json.dumps(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": errno.ENOSYS,
            "archMap": [
                {"architecture": f"SCMP_ARCH_{name}", "subArchitectures": []} for name in ("X86_64", "AARCH64")
            ],
            "syscalls": list(_rules()),
        }
    )
