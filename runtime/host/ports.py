"""Whether a port of this network namespace is somebody's, asked of the kernel by trying to take it."""

import errno
import socket

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def is_taken(protocol: str, port: int) -> bool:
    """Whether a process has the port on any address, loopback too. Takes it itself for a moment; asked twice
    at once, one may hear that it is taken."""
    return any(_is_refused(family, protocol, port) for family in (socket.AF_INET, socket.AF_INET6))


def _is_refused(family: int, protocol: str, port: int) -> bool:
    try:
        with socket.socket(family, _KINDS[protocol]) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(("", port))
    except OSError as error:
        # without IPv6 nobody can have the port there
        return error.errno == errno.EADDRINUSE
    return False
