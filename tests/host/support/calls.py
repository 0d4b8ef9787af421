"""System calls by their numbers on x86-64."""

#: Number and arguments; a pointer is given as text, which becomes a buffer.
CALLS = {
    "bpf": (321, 0, "map", 72),
    "perf_event_open": (298, "attr", 0, -1, -1, 0),
    "io_uring_setup": (425, 8, "params"),
    "io_uring_enter": (426, 0, 0, 0, 0, 0),
    "io_uring_register": (427, 0, 0, 0, 0),
    "userfaultfd": (323, 1),
    "keyctl": (250, 0, -4, 1),
    "add_key": (248, "user", "name", "x", 1, -2),
    "request_key": (249, "user", "name", 0, 0),
    "fanotify_init": (300, 0, 0),
    "open_by_handle_at": (304, -100, "handle", 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "kexec_file_load": (320, 0, 0, 0, 0, 0),
    "init_module": (175, "m", 1, ""),
    "finit_module": (313, 0, "", 0),
    "delete_module": (176, "x", 0),
    "swapon": (167, "/swap", 0),
    "swapoff": (168, "/swap"),
    "acct": (163, "/acct"),
    "iopl": (172, 3),
    "ioperm": (173, 0x80, 1, 1),
    "clock_settime": (227, 0, "time"),
    "settimeofday": (164, "time", 0),
    "quotactl": (179, 0x80000100, 0, 0, 0),
    "quotactl_fd": (443, 0, 0, 0, 0),
    "vmsplice": (278, 1, 0, 0, 0),
    "memfd_secret": (447, 0),
    "modify_ldt": (154, 0, "buffer", 16),
    "pidfd_getfd": (438, 0, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "syslog": (103, 3, "buffer", 64),
    "mbind": (237, 0, 0, 0, 0, 0, 0),
    "move_pages": (279, 0, 0, 0, 0, 0, 0),
    "migrate_pages": (256, 0, 0, 0, 0),
    "set_mempolicy": (238, 0, 0, 0),
    "vhangup": (153,),
    "lookup_dcookie": (212, 0, "buffer", 64),
    "nfsservctl": (180, 0, 0, 0),
    "_sysctl": (156, 0),
    "uselib": (134, "/x"),
    "ustat": (136, 0, "buffer"),
    "sysfs": (139, 3),
    "remap of mount by lsm": (459, 0, "", 0, 0),
    "clone3": (435, "args", 88),
    "process_madvise of another": (440, -1, 0, 0, 0, 0),
    "unknown number": (9999,),
    "x32 number": (0x40000000 | 41, 40, 1, 0),
}


def answers_to(calls: dict[str, list[int | str]]) -> dict[str, str]:
    """The name of the error of each call, in a child of its own: a filter may kill."""
    import ctypes
    import errno
    import os

    answers = {}
    for name, words in calls.items():
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            libc = ctypes.CDLL(None, use_errno=True)
            given = []
            for one in words:
                if isinstance(one, str):
                    given.append(ctypes.create_string_buffer(one.encode(), max(128, len(one) + 1)))
                else:
                    given.append(ctypes.c_long(one))
            answer = libc.syscall(*given)
            text = "ok" if answer >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")
            os.write(writing, text.encode())
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        answers[name] = os.read(reading, 100).decode() or f"killed by {status & 127}"
        os.close(reading)
    return answers
