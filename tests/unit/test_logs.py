"""What goes wrong is told in a few lines that hold no secret, and no log grows without end."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from panel.config import logs as panel_logs
from runtime.host.logfile import keep_small

FAIL = """
import structlog
{configure}
def apply(root_password_hash, depth):
    if depth:
        return apply(root_password_hash, depth - 1)
    raise ValueError("refused" + "!" * 20_000)
try:
    apply("$6$salt$neverlogged", 60)
except ValueError:
    structlog.get_logger().exception("apply failed", environment="one")
"""


@pytest.mark.parametrize(
    "configure",
    [
        "from runtime import logs; logs.configure()",
        "from panel.config import logs; logs.configure({'json': False, 'level': 'INFO'})",
        "from panel.config import logs; logs.configure({'json': True, 'level': 'INFO'})",
    ],
    ids=["node", "panel", "panel in production"],
)
def test_a_failure_is_told_without_what_variables_held(configure: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", FAIL.format(configure=configure)],
        check=True,
        capture_output=True,
        timeout=30,
        env={**os.environ, "COLUMNS": "120"},
    )
    record = (said.stdout + said.stderr).decode()
    assert "apply failed" in record
    assert "ValueError" in record
    assert "neverlogged" not in record.replace('apply("$6$salt$neverlogged", 60)', "")
    assert len(record) < 9000


def test_a_short_record_stays_whole() -> None:
    assert panel_logs.shorten(logging.getLogger(), "info", "as it was") == "as it was"


def test_a_log_begins_anew_while_its_writer_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "web.log"
    with file.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 30)
        assert not keep_small(file, most=1000)
        writer.write(b"older\n" * 200)
        assert keep_small(file, most=1000)
        writer.write(b"new\n")
    assert file.read_bytes() == b"new\n"
    assert (tmp_path / "web.log.1").stat().st_size == 1000
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) < 2000


def test_a_link_in_the_place_of_a_log_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"x" * 2000)
    (tmp_path / "web.log").symlink_to(target)
    assert not keep_small(tmp_path / "web.log", most=1000)
    assert target.stat().st_size == 2000
