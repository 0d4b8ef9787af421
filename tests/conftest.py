"""Over several processes (`-n 2`), tests that share something dear stay together in one of them."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

AN_INSTALLATION = "an installation"
#: What is shared, and the beginnings of the paths of those who do; the first that fits counts.
TOGETHER = {
    "an installation with Debian and the demo": (
        "tests/e2e/test_",
        "tests/e2e/browser/test_every_page.py",
        "tests/e2e/browser/test_first_day.py",
    ),
    AN_INSTALLATION: ("tests/e2e/browser/",),
    "an installation to break": ("tests/faults/stack/",),
    "an installation on PostgreSQL": ("tests/faults/postgresql/",),
    "many processes of the panel": ("tests/faults/test_parallel.py",),
}
#: Files here stay whole: their tests share a network or an agent.
WHOLE_FILES = "tests/host/"


def shared_by(test: str) -> str:
    """What the test of that id shares with others; its own id when nothing."""
    path = test.partition("::")[0]
    for what, beginnings in TOGETHER.items():
        if path.startswith(beginnings):
            return what
    return path if path.startswith(WHOLE_FILES) else test


class _Together(LoadScopeScheduling):
    """xdist's own `loadgroup` sees no group since pytest 9.2 (pytest-xdist issue 1386)."""

    def _split_scope(self, nodeid: str) -> str:
        return shared_by(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Together:
    return _Together(config, log)
