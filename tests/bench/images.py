"""Images for the figures of apps: pushed into a registry of this machine, layer by layer."""

import random
from functools import cache

from tests.support.registry import Entry, Hub, busybox, file, folder

_LAYERS, _FILES, _FILE_BYTES, _ODD_BYTES = 4, 450, 56 * 1024, 24 * 1024
#: Whose layers have no moment, of those buildah keeps nothing.
_HISTORY = [{"created": "2026-01-01T00:00:00Z", "created_by": "bench"}]
SAYS = {"Entrypoint": ["/bin/sh", "-c", "echo up; exec sleep 3600"], "Env": ["PATH=/bin"]}


def small(hub: Hub, name: str) -> str:
    """A shell that says a word and sleeps."""
    return hub.push(f"bench/{name}:1", busybox(), config=SAYS, history=_HISTORY)


def large(hub: Hub, number: int) -> str:
    """About 100 MiB in five layers and 1,800 files, half of it as random as libraries are; other bytes for each
    number, so that none of its layers was seen before."""
    layers = [_library(number * _LAYERS + one) for one in range(_LAYERS)]
    return hub.push(f"bench/large{number}:1", busybox(), *layers, config=SAYS)


def web(hub: Hub, version: int) -> str:
    """A web server that says its version to whatever is asked for."""
    page = f"#!/bin/sh\ncat > /dev/null\necho\necho version {version}\n".encode()
    made = [folder("www"), folder("www/cgi-bin"), file("www/cgi-bin/version", page, mode=0o755)]
    words = ["/bin/httpd", "-f", "-p", "80", "-h", "/www"]
    config = {"Entrypoint": words, "Env": ["PATH=/bin"]}
    return hub.push(f"bench/web:{version}", busybox(), made, config=config)


def _library(seed: int) -> list[Entry]:
    source, plain = random.Random(seed), _plain()
    top = f"usr/lib/bench{seed}"
    made = [folder("usr"), folder("usr/lib"), folder(top)]
    return [*made, *(file(f"{top}/{one}.so", source.randbytes(_ODD_BYTES) + plain) for one in range(_FILES))]


@cache
def _plain() -> bytes:
    line = b"def function_of_a_library(first, second):\n    return first + second\n"
    return (line * (_FILE_BYTES // len(line) + 1))[: _FILE_BYTES - _ODD_BYTES]
