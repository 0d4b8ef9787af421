"""The systemd units: accepted by systemd, and confined, as it rates them itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.install import restoring
from runtime.install.front import Front
from runtime.install.layout import Layout
from runtime.install.roles import roles
from runtime.install.units import units, write_units

LAYOUT = Layout(Path("/var/lib/wadah"))
FRONT = Front("http://127.0.0.1:8080", bind=("127.0.0.1",))
UNPRIVILEGED = [role.name for role in roles(LAYOUT, FRONT) if not role.root]


def _analyze(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("units")
    write_units(LAYOUT, FRONT, made)
    return made


def test_there_is_one_for_each_role() -> None:
    names = {f"wadah-{role.name}.service" for role in roles(LAYOUT, FRONT)}
    assert set(units(LAYOUT, FRONT)) == names | {"wadah.target", "wadah-prepare.service"}


def test_systemd_takes_them(directory: Path) -> None:
    done = _analyze("verify", "--man=no", *(str(file) for file in sorted(directory.iterdir())))
    # programs that aren't installed here are none of the unit's faults
    said = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    assert [line for line in said if "wadah" in line] == []


def test_none_of_them_starts_while_a_restore_is_marked(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.etc.mkdir(parents=True)
    for name, text in units(layout, FRONT).items():
        (asserted,) = [line for line in text.splitlines() if line.startswith("Assert")]
        for stage in (restoring.PUTTING, restoring.ADOPTING):
            restoring.mark(layout, stage)
            assert _analyze("condition", asserted).returncode != 0, name
        restoring.clear(layout)
        assert _analyze("condition", asserted).returncode == 0, name


@pytest.mark.parametrize("role", UNPRIVILEGED)
def test_systemd_rates_the_panels_processes_as_well_confined(directory: Path, role: str) -> None:
    done = _analyze("security", "--offline=yes", "--no-pager", str(directory / f"wadah-{role}.service"))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found.group(1)) <= 2.5, done.stdout


def test_who_takes_connections_of_other_nodes_has_nothing_of_root_but_its_files(tmp_path: Path) -> None:
    """It is there where the node's settings name a place for it."""
    layout = Layout(tmp_path)
    assert not [name for name in units(layout, FRONT) if "backup-server" in name]
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "node.json").write_text('{"backup_server": "10.0.0.2:8443"}')
    (text,) = [text for name, text in units(layout, FRONT).items() if "backup-server" in name]
    assert "CapabilityBoundingSet=\n" in text
    assert "User=" not in text
    (tmp_path / "units").mkdir()
    write_units(layout, FRONT, tmp_path / "units")
    (file,) = (tmp_path / "units").glob("*backup-server.service")
    done = _analyze("security", "--offline=yes", "--no-pager", str(file))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found.group(1)) <= 4.5, done.stdout


def test_only_a_low_port_keeps_a_capability() -> None:
    named = units(LAYOUT, Front("https://panel.example.org"))
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n" in named["wadah-front.service"]
    assert "CapabilityBoundingSet=\n" in units(LAYOUT, FRONT)["wadah-front.service"]
    assert "CapabilityBoundingSet=\n" in units(LAYOUT, Front("https://panel.example.org"))["wadah-web.service"]


@pytest.mark.parametrize(
    ("url", "is_remote"),
    [
        ("postgres://wadah:secret@db.example.org:5432/wadah", True),
        ("postgres://wadah@10.0.0.5/wadah", True),
        ("postgres://wadah@%2Frun%2Fpostgresql/wadah", False),
        ("", False),
    ],
)
def test_a_database_elsewhere_is_reached_by_all_of_the_panel(tmp_path: Path, url: str, is_remote: bool) -> None:
    layout = Layout(tmp_path)
    layout.etc.mkdir(parents=True)
    (layout.etc / "environment").write_text(f'# the operator\'s own\nDATABASE_URL="{url}"\n')
    made = {name.rpartition("-")[2]: text for name, text in units(layout, FRONT).items()}
    for role in ("ws.service", "beat.service", "uploads.service"):
        assert ("AF_INET" in made[role]) is is_remote, role
    assert "AF_INET" not in made["redis.service"]
