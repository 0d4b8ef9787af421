"""An installation whose environments reach a Debian mirror, and systems inside it."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Installation, free_port, standing
from tests.e2e.support import ready as make_ready
from tests.packages.system import System

Make = Callable[..., System]


@contextmanager
def _installation() -> Iterator[Installation]:
    """On the machine's own network: a namespace without a way out has no mirror."""
    home = Path(tempfile.mkdtemp(prefix="wadah-packages-"))
    home.chmod(0o755)
    made = Installation(home, "", "", "", "")
    try:
        made.wadah("up", "--detach", "--no-demo", "--port", str(free_port()), timeout_s=900)
        yield standing(home)
    finally:
        made.wadah("down", "--purge", timeout_s=300, check=False)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def wadah(pytestconfig: pytest.Config) -> Iterator[Installation]:
    """That in `WADAH_TEST_HOME`, as it is; else one that is made and purged."""
    import os

    if os.environ.get("WADAH_TEST_HOME"):
        made = standing(Path(os.environ["WADAH_TEST_HOME"]))
        make_ready(made)
        yield made
        return
    with _installation() as made:
        make_ready(made)
        yield made


@pytest.fixture(scope="module")
def make(wadah: Installation) -> Iterator[Make]:
    """Makes systems of Debian that have booted and know what their mirror has."""
    made: list[System] = []

    def one(**fields: Any) -> System:
        values = {
            "image": "debian-12",
            "limits": {"cpu": 2, "memory_mb": 1024, "disk_mb": 8192},
            "stop_timeout_s": 60,
        }
        name = f"pkg-{uuid.uuid4().hex[:8]}"
        system = System(wadah, wadah.create(name, **{**values, **fields}))
        made.append(system)
        system.boot()
        code, said = system.run("apt-get update -qq", 240)
        if code != 0:
            pytest.skip(f"no Debian mirror is reached from inside: {said[-200:]}")
        return system

    yield one
    for system in made:
        wadah.delete(system.environment)
