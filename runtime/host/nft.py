"""nftables through libnftables, in this process: 0.1 ms a change where the `nft` command takes 4 ms.

Each call is one transaction: all of it or nothing. libnftables-json(5).
"""

import ctypes
import json
import os
import threading
from functools import cache
from typing import Any

from runtime.contract.words import advice, refusals
from runtime.errors import HostLacks, RuntimeFault

_OUTPUT_JSON = 1 << 4
_lock = threading.Lock()


def _forget_holder() -> None:
    """In a forked child the thread that may hold the lock (one that lingers, see `_run`) doesn't exist."""
    global _lock  # noqa: PLW0603 (one per process)
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_holder)


class NftError(RuntimeFault):
    code = "firewall_refused"


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as missing:
        raise HostLacks(
            refusals.not_installed("libnftables"), next_step=advice.install("apt install nftables")
        ) from missing
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    return library


def _close(library: ctypes.CDLL, context: int) -> None:
    with _lock:
        library.nft_ctx_free(context)


def _run(text: str, *, linger: bool = False) -> str:
    """A context of its own for each call: its netlink socket belongs to the network namespace that the
    calling thread is in now, and its cache is never stale.

    After something was deleted, closing that socket waits 8 to 16 ms for an RCU grace period (the change
    itself is done by then): with `linger` a thread waits in place of the caller.
    """
    library = _library()
    with _lock:
        context = library.nft_ctx_new(0)
        try:
            library.nft_ctx_buffer_output(context)
            library.nft_ctx_buffer_error(context)
            library.nft_ctx_output_set_flags(context, _OUTPUT_JSON)
            status = library.nft_run_cmd_from_buffer(context, text.encode())
            output = library.nft_ctx_get_output_buffer(context) or b""
            error = library.nft_ctx_get_error_buffer(context) or b""
        finally:
            if linger:
                threading.Thread(target=_close, args=(library, context)).start()
            else:
                library.nft_ctx_free(context)
    if status != 0:
        lines = [line for line in error.decode(errors="replace").splitlines() if line.strip()]
        raise NftError(refusals.nftables_refused(lines[0][:300] if lines else "?"))
    return str(output.decode())


def change(commands: list[dict[str, Any]]) -> None:
    """One transaction of JSON commands; a no-op for an empty list. Raises `NftError`."""
    if commands:
        _run(json.dumps({"nftables": commands}), linger=any("delete" in one for one in commands))


def load(text: str) -> None:
    """One transaction of nft's own language: only for text that is ours wholly."""
    _run(text)


def query(command: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a `list` command; empty when what is asked for isn't there."""
    try:
        output = _run(json.dumps({"nftables": [command]}))
    except NftError as error:
        if "No such file" in str(error):
            return []
        raise
    return list(json.loads(output)["nftables"]) if output.strip() else []
