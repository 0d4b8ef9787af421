"""What an app runs, of what its image says and what was asked for; and who it runs as."""

from pathlib import Path

import pytest

from runtime.contract import AppOptions, ImageConfig
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.oci.app import stop_signal_of, words_of
from runtime.oci.users import User, user_of

IMAGE = ImageConfig(entrypoint=("entry",), cmd=("a", "b"))


@pytest.mark.parametrize(
    ("command", "args", "words"),
    [
        (None, None, ["entry", "a", "b"]),
        (None, ("c",), ["entry", "c"]),
        (None, (), ["entry"]),
        (("other",), None, ["other"]),
        (("other",), ("c",), ["other", "c"]),
        ((), ("c",), ["c"]),
    ],
)
def test_command_and_arguments(
    command: tuple[str, ...] | None, args: tuple[str, ...] | None, words: list[str]
) -> None:
    assert words_of(AppOptions(image="a", command=command, args=args), IMAGE) == words


def test_nothing_to_run() -> None:
    with pytest.raises(RuntimeFault) as caught:
        words_of(AppOptions(image="a"), ImageConfig())
    assert caught.value.code == "no_command"


def test_signals() -> None:
    assert stop_signal_of(AppOptions(image="a"), ImageConfig()) == "SIGTERM"
    assert stop_signal_of(AppOptions(image="a"), ImageConfig(stop_signal="SIGQUIT")) == "SIGQUIT"
    assert stop_signal_of(AppOptions(image="a", stop_signal="SIGINT"), ImageConfig(stop_signal="X")) == "SIGINT"
    with pytest.raises(RuntimeFault):
        stop_signal_of(AppOptions(image="a"), ImageConfig(stop_signal="NONE"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/root:/x\nodd\napp:x:12:34::/srv:/x\nhigh:x:99999:0::/:/\n"
    )
    (tmp_path / "etc/group").write_text("root:x:0:\nstaff:x:77:root,app\nmore:x:78:app\nbad:x:y:app\n")
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "user"),
    [
        ("", User(0, 0, (77,), "/root")),
        ("app", User(12, 34, (77, 78), "/srv")),
        ("12", User(12, 34, (77, 78), "/srv")),
        ("app:staff", User(12, 77, (), "/srv")),
        ("app:5", User(12, 5, (), "/srv")),
        ("555", User(555, 0)),
        ("555:666", User(555, 666)),
    ],
)
def test_users(tree: Path, wanted: str, user: User) -> None:
    with SafeTree.open(tree) as safe:
        assert user_of(safe, wanted) == user


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("none", "no_such_user"),
        ("app:none", "no_such_group"),
        ("high", "user_too_high"),
        ("65536", "user_too_high"),
        ("9" * 30, "user_too_high"),
    ],
)
def test_users_that_are_none(tree: Path, wanted: str, code: str) -> None:
    with SafeTree.open(tree) as safe, pytest.raises(RuntimeFault) as caught:
        user_of(safe, wanted)
    assert caught.value.code == code


def test_a_tree_without_users(tmp_path: Path) -> None:
    with SafeTree.open(tmp_path) as safe:
        assert user_of(safe, "") == User(0, 0)
        assert user_of(safe, "7") == User(7, 0)
