"""Beside each other: what shares an installation stays in one process, each node test may run in any.

pytest tests/faults -n 2 --dist loadgroup
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: What has something of its own that takes long to make, by directory or file.
TOGETHER = {"stack", "postgresql", "test_parallel.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        for name in TOGETHER & {item.path.parent.name, item.path.name}:
            item.add_marker(pytest.mark.xdist_group(name))
