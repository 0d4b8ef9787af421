"""`./wadah test` ends with one line over all groups, and with an exit code that tells red from green."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from runtime.install import testing, unsteady
from runtime.install.testing import Group, Tally

GREEN = "def test_good():\n    pass\n"
RED = "import pytest\n\ndef test_bad():\n    assert 1 == 2\n\n@pytest.mark.skip\ndef test_later():\n    pass\n"


def _run(
    directory: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch, deadline_s: int = 60
) -> Tally:
    for name, text in files.items():
        (directory / name).write_text(text)
    monkeypatch.setattr(testing, "CHECKOUT", directory)
    tally = Tally()
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # loading them takes longer than these tests
    }
    testing._run_group(Group(".", deadline_s), environment, tally)
    return tally


def test_it_sums_what_passed_failed_and_was_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = _run(tmp_path, {"test_a.py": GREEN, "test_b.py": RED}, monkeypatch)
    tally.add("ruff", passed=True)
    assert tally.closing_line(1.5) == "1 failed, 2 passed, 1 skipped in 1.50s"
    assert tally.failed == ["test_b::test_bad"]


def test_a_file_that_cannot_be_imported_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = _run(tmp_path, {"test_a.py": "import nothing_of_this_name\n"}, monkeypatch)
    assert len(tally.failed) == 1


def test_a_group_without_tests_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(_run(tmp_path, {}, monkeypatch).failed) == 1


def test_a_pytest_that_dies_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import os, signal\n\ndef test_dies():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    assert _run(tmp_path, {"test_a.py": text}, monkeypatch).failed == [".: pytest ended with -9"]


def test_a_group_that_hangs_is_ended_and_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import time\n\ndef test_hangs():\n    time.sleep(600)\n"
    tally = _run(tmp_path, {"test_a.py": text}, monkeypatch, deadline_s=3)
    assert ". did not end within 3 s" in tally.failed


def test_what_passes_only_by_itself_is_red_unless_it_is_on_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from pathlib import Path\n\ndef test_second_time():\n    known = Path('seen').exists()\n"
    text += "    Path('seen').touch()\n    assert known\n"
    tally = _run(tmp_path, {"test_a.py": text, "test_b.py": GREEN}, monkeypatch)
    assert (tally.failed, tally.unsteady, tally.passed) == ([], ["test_a::test_second_time"], 1)
    listed = replace(tally, failed=[])
    testing.judge_unsteady(listed, frozenset({"test_a::test_second_time"}), [])
    assert (listed.failed, listed.passed) == ([], 2)
    testing.judge_unsteady(tally, frozenset({"test_a::test_another"}), [])
    assert len(tally.failed) == 1
    assert tally.closing_line(1) == "1 failed, 1 passed, 0 skipped in 1.00s"


_ENTRY = '[[test]]\nid = "a::b{n}"\nreason = "{reason}"\nsince = {since}\n'


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (_ENTRY.format(n=1, reason="Why.", since="2026-01-01"), ""),
        (_ENTRY.format(n=1, reason="Why.", since="2025-10-01"), "longer than 60 days"),
        (_ENTRY.format(n=1, reason="", since="2026-01-01"), "lacks"),
        (_ENTRY.format(n=1, reason="Why.", since='"lately"'), "lacks"),
        ("".join(_ENTRY.format(n=n, reason="Why.", since="2026-01-01") for n in range(6)), "at most 5"),
    ],
)
def test_the_list_of_unsteady_tests_is_short_and_never_old(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "unsteady.toml"
    file.write_text(text)
    listed, said = unsteady.read(date(2026, 1, 20), file)
    assert "a::b1" in listed
    assert bool(said) == bool(wrong)
    assert all(wrong in one for one in said)


def test_the_list_as_it_is_can_be_read() -> None:
    assert unsteady.read(date(2026, 1, 1))[1] == []
