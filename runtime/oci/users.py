"""Who an app runs as: `user` of its image or request, by name or number, as the tree's own /etc has it."""

from dataclasses import dataclass

from runtime.contract.said import Said
from runtime.contract.words import apps
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.node import IDS_PER_SLOT

_FILE_BYTES = 1024 * 1024
_MOST_GROUPS = 64
_LONGEST_NUMBER, _LONGEST_NAME = 10, 32


@dataclass(frozen=True)
class User:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def user_of(tree: SafeTree, wanted: str) -> User:
    """`name`, `number`, `name:group`, …; empty: root. A number needs no line in /etc/passwd. Raises
    `RuntimeFault` for a name that has none."""
    name, colon, group = wanted.partition(":")
    name = name or "0"
    users = _lines(tree, "/etc/passwd", 7)
    found = next((one for one in users if one[0] == name), None)
    if found is None and name.isdigit():
        found = next((one for one in users if one[2] == name), None)
    if found is None and not name.isdigit():
        raise _fault("no_such_user", apps.no_such_user(name))
    uid = _number(found[2] if found else name, name)
    gid = _number(found[3], name) if found else 0
    groups: tuple[int, ...] = ()
    if colon and group:
        gid = _group(tree, group)
    elif found:
        of_name = [one for one in _lines(tree, "/etc/group", 4) if found[0] in one[3].split(",")]
        groups = tuple(_number(one[2], one[0]) for one in of_name[:_MOST_GROUPS])
    return User(uid, gid, groups, (found[5] if found else "") or "/")


def names_of(tree: SafeTree) -> dict[int, str]:
    """Names of the tree's users by number, the first one of each; of what its owner wrote, so it is cut."""
    found: dict[int, str] = {}
    for one in _lines(tree, "/etc/passwd", 7):
        if one[2].isdecimal() and len(one[2]) <= _LONGEST_NUMBER and one[0].isprintable():
            found.setdefault(int(one[2]), one[0][:_LONGEST_NAME])
    return found


def _group(tree: SafeTree, name: str) -> int:
    found = next((one for one in _lines(tree, "/etc/group", 4) if name in (one[0], one[2])), None)
    if found is None and not name.isdigit():
        raise _fault("no_such_group", apps.no_such_group(name))
    return _number(found[2] if found else name, name)


def _lines(tree: SafeTree, path: str, fields: int) -> list[list[str]]:
    """Whole lines of passwd(5) or group(5); none where there is no such file."""
    try:
        text = tree.read(path, _FILE_BYTES) or b""
    except RuntimeFault:  # a directory, a fifo, too large, …
        return []
    lines = (line.split(":") for line in text.decode(errors="replace").splitlines())
    return [one for one in lines if len(one) >= fields and one[2].isdigit()]


def _number(text: str, name: str) -> int:
    if not text.isdigit() or len(text) > 10 or int(text) >= IDS_PER_SLOT:
        raise _fault("user_too_high", apps.user_too_high(name))
    return int(text)


def _fault(code: str, said: Said) -> RuntimeFault:
    return RuntimeFault(said, code=code, next_step=apps.name_another_user(), retryable=False)
