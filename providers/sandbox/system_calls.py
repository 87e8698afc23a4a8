"""The seccomp filter of a sandbox: the system calls it may make.

The program is classic BPF, run by the kernel at each call of each process inside. In order of time it kills a process
that calls in another machine's numbers; checks the arguments of the few calls where they matter (address families,
memory that belongs to no process, new namespaces); allows what ``_CALLS`` lists; and refuses everything else. The list
is what programs need: that of container engines without what holds memory that belongs to no process, reads other
processes, or reaches parts of the kernel that no script needs.
"""

import errno
import platform
import struct
from collections.abc import Iterable

from providers.sandbox.recipe import unavailable

Step = tuple[int, int, int, int]  # a BPF instruction: code, jump if true, jump if false, operand

# Allowed calls by name with their numbers on x86_64 and aarch64; "-" where the machine has no such call.
_CALLS = """
    accept 43 202, accept4 288 242, access 21 -, alarm 37 -, arch_prctl 158 -, bind 49 200, brk 12 214,
    cachestat 451 451, capget 125 90, capset 126 91, chdir 80 49, chmod 90 -, chown 92 -, clock_getres 229 114,
    clock_gettime 228 113, clock_nanosleep 230 115, clone 56 220, close 3 57, close_range 436 436, connect 42 203,
    copy_file_range 326 285, creat 85 -, dup 32 23, dup2 33 -, dup3 292 24, epoll_create 213 -, epoll_create1 291 20,
    epoll_ctl 233 21, epoll_pwait 281 22, epoll_pwait2 441 441, epoll_wait 232 -, eventfd 284 -, eventfd2 290 19,
    execve 59 221, execveat 322 281, exit 60 93, exit_group 231 94, faccessat 269 48, faccessat2 439 439,
    fadvise64 221 223, fallocate 285 47, fchdir 81 50, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452,
    fchown 93 55, fchownat 260 54, fcntl 72 25, fdatasync 75 83, fgetxattr 193 10, flistxattr 196 13, flock 73 32,
    fork 57 -, fremovexattr 199 16, fsetxattr 190 7, fstat 5 80, fstatfs 138 44, fsync 74 82, ftruncate 77 46,
    futex 202 98, futex_requeue 456 456, futex_wait 455 455, futex_waitv 449 449, futex_wake 454 454,
    futimesat 261 -, get_robust_list 274 100, getcpu 309 168, getcwd 79 17, getdents 78 -, getdents64 217 61,
    getegid 108 177, geteuid 107 175, getgid 104 176, getgroups 115 158, getitimer 36 102, getpeername 52 205,
    getpgid 121 155, getpgrp 111 -, getpid 39 172, getppid 110 173, getpriority 140 141, getrandom 318 278,
    getresgid 120 150, getresuid 118 148, getrlimit 97 163, getrusage 98 165, getsid 124 156, getsockname 51 204,
    getsockopt 55 209, gettid 186 178, gettimeofday 96 169, getuid 102 174, getxattr 191 8, ioctl 16 29,
    ioprio_get 252 31, ioprio_set 251 30, kill 62 129, landlock_add_rule 445 445, landlock_create_ruleset 444 444,
    landlock_restrict_self 446 446, lchown 94 -, lgetxattr 192 9, link 86 -, linkat 265 37, listen 50 201,
    listxattr 194 11, llistxattr 195 12, lremovexattr 198 15, lseek 8 62, lsetxattr 189 6, lstat 6 -, madvise 28 233,
    map_shadow_stack 453 453, membarrier 324 283, mincore 27 232, mkdir 83 -, mkdirat 258 34, mknod 133 -,
    mknodat 259 33, mlock 149 228, mlock2 325 284, mlockall 151 230, mmap 9 222, mprotect 10 226, mremap 25 216,
    mseal 462 462, msync 26 227, munlock 150 229, munlockall 152 231, munmap 11 215, nanosleep 35 101,
    newfstatat 262 79, open 2 -, openat 257 56, openat2 437 437, pause 34 -, pidfd_open 434 434,
    pidfd_send_signal 424 424, pipe 22 -, pipe2 293 59, pkey_alloc 330 289, pkey_free 331 290, pkey_mprotect 329 288,
    poll 7 -, ppoll 271 73, prctl 157 167, pread64 17 67, preadv 295 69, preadv2 327 286, prlimit64 302 261,
    pselect6 270 72, pwrite64 18 68, pwritev 296 70, pwritev2 328 287, read 0 63, readahead 187 213, readlink 89 -,
    readlinkat 267 78, readv 19 65, recvfrom 45 207, recvmmsg 299 243, recvmsg 47 212, removexattr 197 14,
    rename 82 -, renameat 264 38, renameat2 316 276, restart_syscall 219 128, rmdir 84 -, rseq 334 293,
    rt_sigaction 13 134, rt_sigpending 127 136, rt_sigprocmask 14 135, rt_sigqueueinfo 129 138, rt_sigreturn 15 139,
    rt_sigsuspend 130 133, rt_sigtimedwait 128 137, rt_tgsigqueueinfo 297 240, sched_get_priority_max 146 125,
    sched_get_priority_min 147 126, sched_getaffinity 204 123, sched_getattr 315 275, sched_getparam 143 121,
    sched_getscheduler 145 120, sched_rr_get_interval 148 127, sched_setaffinity 203 122, sched_setattr 314 274,
    sched_setparam 142 118, sched_setscheduler 144 119, sched_yield 24 124, seccomp 317 277, select 23 -,
    sendfile 40 71, sendmmsg 307 269, sendmsg 46 211, sendto 44 206, set_robust_list 273 99, set_tid_address 218 96,
    setfsgid 123 152, setfsuid 122 151, setgid 106 144, setgroups 116 159, setitimer 38 103, setpgid 109 154,
    setpriority 141 140, setregid 114 143, setresgid 119 149, setresuid 117 147, setreuid 113 145, setrlimit 160 164,
    setsid 112 157, setsockopt 54 208, setuid 105 146, setxattr 188 5, shutdown 48 210, sigaltstack 131 132,
    signalfd 282 -, signalfd4 289 74, socket 41 198, socketpair 53 199, splice 275 76, stat 4 -, statfs 137 43,
    statx 332 291, symlink 88 -, symlinkat 266 36, sync_file_range 277 84, sysinfo 99 179, tee 276 77,
    tgkill 234 131, time 201 -, timer_create 222 107, timer_delete 226 111, timer_getoverrun 225 109,
    timer_gettime 224 108, timer_settime 223 110, timerfd_create 283 85, timerfd_gettime 287 87,
    timerfd_settime 286 86, times 100 153, tkill 200 130, truncate 76 45, umask 95 166, uname 63 160, unlink 87 -,
    unlinkat 263 35, utime 132 -, utimensat 280 88, utimes 235 -, vfork 58 -, wait4 61 260, waitid 247 95,
    write 1 64, writev 20 66
"""
_ARCHITECTURES = {"x86_64": (1, 0xC000003E), "aarch64": (2, 0xC00000B7)}

_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6; AF_VSOCK, say, leads past the network namespace to the hypervisor
_PROTOCOLS = (0, 1, 6, 17)  # none named, ICMP (of AF_UNIX: itself), TCP, UDP; others load modules into the kernel
_SHARED_ANONYMOUS = 0x01 | 0x20  # memory that stays when no process has it in use
_SOL_SOCKET = 1
# SO_SNDBUF, SO_RCVBUF, both with FORCE, SO_ZEROCOPY, SO_RESERVE_MEM: how much of the kernel's memory a socket may hold
_SOCKET_MEMORY = (7, 8, 32, 33, 60, 73)
_F_SETPIPE_SZ = 1031
_NEW_NAMESPACES = 0x7E020000
# Calls from this number on are younger than most programs, which do without where they do not exist.
_YOUNG = 424

_LOAD, _AND, _EQUAL, _ABOVE, _AT_LEAST, _ANY_BIT, _ANSWER = 0x20, 0x54, 0x15, 0x25, 0x35, 0x45, 0x06
_KILL, _ALLOW, _FAIL = 0x80000000, 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # places in the kernel's ``seccomp_data``


def program() -> bytes:
    """The filter for this machine.

    Raises:
        ProviderError: ``sandbox_unavailable``, we do not know the machine's numbers.
    """
    if platform.machine() not in _ARCHITECTURES:
        raise unavailable(f"the filter of system calls knows {' and '.join(_ARCHITECTURES)}, not {platform.machine()}")
    column, architecture = _ARCHITECTURES[platform.machine()]
    numbers = _numbers(column)
    steps: list[Step] = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_ANSWER, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, _NUMBER)]
    for name, checks in _arguments().items():
        steps += [(_EQUAL, 0, len(checks) + 1, numbers.pop(name)), *checks, (_ANSWER, 0, 0, _ALLOW)]
    after = 0
    for first, last in _runs(numbers.values()):
        steps += [(_ABOVE, 3, 0, last), (_AT_LEAST, 0, 1, first), (_ANSWER, 0, 0, _ALLOW), _refusal(after)]
        after = last + 1
    steps += [_refusal(after)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _arguments() -> dict[str, list[Step]]:
    """The calls allowed with some arguments only, and their refusals."""
    domains = [*_only(0, _FAMILIES, errno.EAFNOSUPPORT), *_only(2, _PROTOCOLS, errno.EPROTONOSUPPORT)]
    return {
        "mmap": [_argument(3), (_AND, 0, 0, _SHARED_ANONYMOUS), *_not(_SHARED_ANONYMOUS)],
        "fcntl": [_argument(1), *_not(_F_SETPIPE_SZ)],
        "clone": [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), _fail(errno.EPERM)],
        "socket": domains,
        "socketpair": domains,
        "setsockopt": [
            _argument(1),
            (_EQUAL, 0, 1 + 2 * len(_SOCKET_MEMORY), _SOL_SOCKET),
            _argument(2),
            *(step for option in _SOCKET_MEMORY for step in _not(option)),
        ],
    }


def _argument(at: int) -> Step:
    """Load an argument's lower half.

    The kernel reads no more of it where these are used.
    """
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * at)


def _not(value: int) -> list[Step]:
    return [(_EQUAL, 0, 1, value), _fail(errno.EPERM)]


def _only(at: int, values: tuple[int, ...], error: int) -> list[Step]:
    matches = [(_EQUAL, len(values) - number, 0, value) for number, value in enumerate(values)]
    return [_argument(at), *matches, _fail(error)]


def _fail(error: int) -> Step:
    return (_ANSWER, 0, 0, _FAIL | error)


def _refusal(number: int) -> Step:
    """The refusal of calls from this number to the next allowed one."""
    return _fail(errno.ENOSYS if number >= _YOUNG else errno.EPERM)


def _numbers(column: int) -> dict[str, int]:
    rows = (row.split() for row in _CALLS.split(","))
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighbours, in ascending order."""
    ordered = sorted(numbers)
    firsts = [number for number in ordered if number - 1 not in ordered]
    lasts = [number for number in ordered if number + 1 not in ordered]
    return list(zip(firsts, lasts, strict=True))
