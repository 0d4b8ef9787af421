"""What shuts an image's init down, however its /sbin/init leads there."""

import signal
from pathlib import Path

import pytest

from runtime.oci.init import BUSYBOX_HALTS_AT, OTHERS_HALT_AT, SYSTEMD_HALTS_AT, init_of, signal_number


def _tree(root: Path, links: dict[str, str], files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    return root


PROGRAM = b"\x7fELF"


@pytest.mark.parametrize(
    ("links", "files", "expected"),
    [
        pytest.param(
            {"sbin/init": "/lib/systemd/systemd"},
            {"lib/systemd/systemd": PROGRAM},
            SYSTEMD_HALTS_AT,
            id="Debian",
        ),
        pytest.param(
            {"sbin": "usr/bin", "usr/sbin": "bin", "usr/bin/init": "../lib/systemd/systemd"},
            {"usr/lib/systemd/systemd": PROGRAM, "usr/bin/true": PROGRAM},
            SYSTEMD_HALTS_AT,
            id="Arch, Fedora 42",
        ),
        pytest.param(
            {"sbin/init": "/etc/alternatives/init", "etc/alternatives/init": "/usr/lib/systemd/systemd"},
            {"usr/lib/systemd/systemd": PROGRAM},
            SYSTEMD_HALTS_AT,
            id="chain of links",
        ),
        pytest.param(
            {},
            {"sbin/init": b"#!/bin/sh\nmount -a\nexec /lib/systemd/systemd\n"},
            SYSTEMD_HALTS_AT,
            id="script",
        ),
        pytest.param({"sbin/init": "/bin/busybox"}, {"bin/busybox": PROGRAM}, BUSYBOX_HALTS_AT, id="Alpine"),
        pytest.param({}, {"sbin/init": PROGRAM}, OTHERS_HALT_AT, id="sysvinit"),
        pytest.param({"sbin/init": "openrc-init"}, {"sbin/openrc-init": PROGRAM}, OTHERS_HALT_AT, id="OpenRC"),
        pytest.param({"sbin/init": "init"}, {}, OTHERS_HALT_AT, id="a loop"),
        pytest.param({"sbin/init": "/../../../lib/systemd/systemd"}, {}, OTHERS_HALT_AT, id="out of it"),
        pytest.param({}, {"bin/sh": PROGRAM}, OTHERS_HALT_AT, id="none"),
    ],
)
def test_the_signal_is_what_the_links_lead_to(
    tmp_path: Path, links: dict[str, str], files: dict[str, bytes], expected: str
) -> None:
    assert init_of(_tree(tmp_path, links, files)) == (["/sbin/init"], expected)


def test_signals_by_name_and_number() -> None:
    assert signal_number("SIGRTMIN+3") == signal.SIGRTMIN + 3
    assert signal_number("term") == signal_number("15") == signal.SIGTERM
    with pytest.raises(ValueError, match="no signal"):
        signal_number("SIGNOTHING")
