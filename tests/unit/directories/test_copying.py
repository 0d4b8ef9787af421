"""A program is copied with what it needs, which is read from its file and never by running it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.errors import RuntimeFault
from runtime.images.directory.copying import Copier
from runtime.images.directory.elf import needs_of


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A tree with one program of this machine's, its loader and libraries, as Debian had them before /usr."""
    made = tmp_path / "base"
    program = shutil.which("cat")
    assert program is not None
    (made / "bin").mkdir(parents=True)
    shutil.copy(program, made / "bin/cat")
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=20).stdout
    for word in listed.split():
        if word.startswith("/") and Path(word).exists():
            target = made / word.strip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, target)
    return made


def test_loader_and_libraries_come_along(base: Path, tmp_path: Path) -> None:
    needs = needs_of(base / "bin/cat")
    assert needs is not None
    assert needs.loader
    tree = tmp_path / "tree"
    tree.mkdir()
    Copier(base, tree).program("cat")
    assert (tree / "usr/bin/cat").is_file()
    assert (tree / needs.loader.strip("/")).is_file()
    for library in needs.libraries:
        assert list(tree.rglob(library)), library


def test_a_script_brings_its_interpreter_and_a_link_what_it_leads_to(base: Path, tmp_path: Path) -> None:
    (base / "usr/bin").mkdir(parents=True, exist_ok=True)
    (base / "usr/bin/script").write_text("#!/bin/cat -n\nx\n")
    (base / "usr/bin/script").chmod(0o4755)
    (base / "usr/bin/link").symlink_to("script")
    tree = tmp_path / "tree"
    tree.mkdir()
    Copier(base, tree).program("link")
    assert (tree / "usr/bin/link").read_text().startswith("#!")
    assert (tree / "usr/bin/cat").is_file()
    assert (tree / "usr/bin/script").stat().st_mode & 0o7777 == 0o755


def test_what_runs_when_it_is_asked_is_never_run(base: Path, tmp_path: Path) -> None:
    """ldd would start this loader."""
    (base / "usr/bin").mkdir(parents=True, exist_ok=True)
    (base / "usr/bin/trap").write_text("#!/bin/trap2\n")
    (base / "bin/trap2").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (base / "bin/sh").write_text("")
    tree = tmp_path / "tree"
    tree.mkdir()
    Copier(base, tree).program("trap")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("lacks", ["a library", "the program", "a link's end"])
def test_what_lacks_is_named(base: Path, tmp_path: Path, lacks: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    name, named = "cat", "libc"
    if lacks == "a library":
        for one in base.rglob("libc.so*"):
            one.unlink()
    elif lacks == "the program":
        name = named = "emacs"
    else:
        (base / "bin/dangling").symlink_to("/nowhere/at-all")
        name, named = "dangling", "at-all"
    with pytest.raises(RuntimeFault, match=named):
        Copier(base, tree).program(name)


def test_a_link_that_leads_to_itself_ends(base: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (base / "bin/a").symlink_to("b")
    (base / "bin/b").symlink_to("a")
    Copier(base, tree).program("a")
    assert not (tree / "usr/bin/a").exists()
