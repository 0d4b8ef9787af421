"""OpenSSH's server and dropbear in a tree: what each says to root's keys and to his password."""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from runtime.contract.said import NOTHING, Said
from runtime.contract.words import ways
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.ways_in import sshd_config
from runtime.ways_in.account import Root
from runtime.ways_in.sshd_config import listed

_DIRECTORIES = ("/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin")
_DROPBEAR_SAYS = ("/etc/default/dropbear", "/etc/conf.d/dropbear", "/etc/sysconfig/dropbear")
_BYTES = 64 * 1024
#: Files of keys that are looked for: each may have a megabyte.
_MOST_FILES = 16
_KEY = re.compile(rb"^[ \t]*[^#\s]", re.MULTILINE)
#: sshd_config(5): what `PermitRootLogin` lets in.
_BY_KEY = frozenset(("yes", "prohibit-password", "without-password"))


class Server(Protocol):
    @property
    def units(self) -> tuple[str, ...]:
        """Names that its service has, without `.service`."""

    @property
    def port(self) -> int: ...

    def refuses_keys(self, tree: SafeTree, root: Root) -> Said: ...

    def refuses_password(self, root: Root) -> Said: ...


def server_of(tree: SafeTree, root: Root) -> Server | None:
    """OpenSSH's before dropbear; None without either."""
    if _has(tree, "sshd"):
        return OpenSSH(tree, root)
    return Dropbear.of(tree) if _has(tree, "dropbear") else None


def _has(tree: SafeTree, program: str) -> bool:
    return any(tree.exists(f"{directory}/{program}") for directory in _DIRECTORIES)


class OpenSSH:
    units = ("ssh", "sshd")

    def __init__(self, tree: SafeTree, root: Root):
        self._says = sshd_config.read(tree, root.groups)

    @property
    def port(self) -> int:
        for address in self._says.words("listenaddress"):
            _, colon, port = address.rpartition(":")
            if colon and port.isdigit() and (address.count(":") == 1 or "]:" in address):
                return _port(port)
        return _port(self._says.words("port", "22")[0])

    def refuses_keys(self, tree: SafeTree, root: Root) -> Said:
        if self._word("permitrootlogin") not in _BY_KEY:
            return self._quoted("PermitRootLogin")
        if self._word("pubkeyauthentication") != "yes":
            return self._quoted("PubkeyAuthentication")
        return self._keeps_out(root) or self._wants_more("publickey") or self._finds_none(tree, root)

    def refuses_password(self, root: Root) -> Said:
        if self._word("permitrootlogin") != "yes":
            return self._quoted("PermitRootLogin")
        by_pam = self._word("usepam") == "yes" and self._word("kbdinteractiveauthentication") == "yes"
        if self._word("passwordauthentication") != "yes" and not by_pam:
            return self._quoted("PasswordAuthentication")
        return self._keeps_out(root) or self._wants_more("password", "keyboard-interactive")

    def _keeps_out(self, root: Root) -> Said:
        """Whoever comes as root. A pattern with a host lets in, or keeps out, from there alone."""
        names = {"root"}
        denied = [one for one in self._says.words("denyusers") if "@" not in one]
        if listed(denied, names):
            return self._quoted("DenyUsers")
        if not self._allows([one.partition("@")[0] for one in self._says.words("allowusers")], names):
            return self._quoted("AllowUsers")
        if listed(self._says.words("denygroups"), root.groups):
            return self._quoted("DenyGroups")
        if not self._allows(self._says.words("allowgroups"), root.groups):
            return self._quoted("AllowGroups")
        return ways.locked() if root.is_locked and self._word("usepam") != "yes" else NOTHING

    @staticmethod
    def _allows(patterns: list[str], names: set[str] | frozenset[str]) -> bool:
        return not patterns or listed(patterns, names)

    def _wants_more(self, *methods: str) -> Said:
        wanted = self._says.words("authenticationmethods", "any")
        if wanted[0] == "any" or any(one.partition(":")[0] in methods for one in wanted if "," not in one):
            return NOTHING
        return ways.wants_more("sshd", f"AuthenticationMethods {' '.join(wanted)}"[:200])

    def _finds_none(self, tree: SafeTree, root: Root) -> Said:
        """No key of root's where it looks, or one that it doesn't take from there."""
        names = self._says.words("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2")
        named = [one for one in dict.fromkeys(names) if one.lower() != "none"][:_MOST_FILES]
        places = [_expanded(one, root) for one in named]
        found = [one for one in places if _has_key(tree, one)]
        if not found:
            ours = f"{root.home}/.ssh/authorized_keys"
            if ours not in places and _has_key(tree, ours):
                return ways.keys_elsewhere("sshd", f"AuthorizedKeysFile {' '.join(names)}"[:200])
            return ways.no_key(places[0] if places else ours)
        if self._word("strictmodes") != "yes":
            return NOTHING
        reasons = [_not_strict(tree, root.home, one) for one in found]
        return NOTHING if not all(reasons) else reasons[0]

    def _word(self, keyword: str) -> str:
        return self._says.word(keyword, _DEFAULTS[keyword])

    def _quoted(self, keyword: str) -> Said:
        """As it stands there, or as the server has it without a word."""
        words = self._says.words(keyword.lower(), _DEFAULTS.get(keyword.lower(), ""))
        return ways.setting("sshd", f"{keyword} {' '.join(words)}"[:200])


#: sshd_config(5), as upstream has them.
_DEFAULTS = {
    "permitrootlogin": "prohibit-password",
    "pubkeyauthentication": "yes",
    "passwordauthentication": "yes",
    "kbdinteractiveauthentication": "yes",
    "usepam": "no",
    "strictmodes": "yes",
}


@dataclass(frozen=True)
class Dropbear:
    """Its arguments are all that it is told; keys lie where OpenSSH's default has them."""

    flags: frozenset[str]
    """Letters of those that have no value."""
    port: int = 22
    units: tuple[str, ...] = ("dropbear",)

    @classmethod
    def of(cls, tree: SafeTree) -> "Dropbear":
        text = ""
        for place in _DROPBEAR_SAYS:
            with suppress(RuntimeFault):
                text += (tree.read(place, _BYTES) or b"").decode(errors="replace") + "\n"
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        words = re.findall(r"(?<![\w-])-([A-Za-z]+)", "\n".join(lines))
        port = re.search(r"DROPBEAR_PORT=[\"']?([0-9]{1,5})", "\n".join(lines))
        return cls(frozenset("".join(words)), _port(port[1]) if port else 22)

    def refuses_keys(self, tree: SafeTree, root: Root) -> Said:
        place = f"{root.home}/.ssh/authorized_keys"
        if "w" in self.flags:
            return ways.setting("dropbear", "-w")
        if not _has_key(tree, place):
            return ways.no_key(place)
        return _unlisted(tree, root)

    def refuses_password(self, root: Root) -> Said:
        for flag in "wsg":
            if flag in self.flags:
                return ways.setting("dropbear", f"-{flag}")
        return NOTHING


def _unlisted(tree: SafeTree, root: Root) -> Said:
    """dropbear takes no shell that shells(5) doesn't have; without the file, those that the C library has."""
    data = None
    with suppress(RuntimeFault):
        data = tree.read("/etc/shells", _BYTES)
    listed_there = (data or b"/bin/sh\n/bin/csh").decode(errors="replace").split("\n")
    return (
        NOTHING if root.shell in [line.strip() for line in listed_there] else ways.shell_not_listed(root.shell)
    )


def _expanded(name: str, root: Root) -> str:
    for token, value in {"%h": root.home, "%u": "root", "%U": "0", "%%": "%"}.items():
        name = name.replace(token, value)
    return name if name.startswith("/") else f"{root.home.rstrip('/')}/{name}"


def _has_key(tree: SafeTree, place: str) -> bool:
    data = None
    with suppress(RuntimeFault):
        data = tree.read(place)
    return _KEY.search(data or b"") is not None


def _not_strict(tree: SafeTree, home: str, file: str) -> Said:
    """`StrictModes` of sshd_config(5): the file, and what lies between it and the home, are root's alone."""
    places = [file, *([f"{home}/.ssh", home] if file.startswith(f"{home}/.ssh/") else [])]
    for place in places:
        seen = tree.seen(place)
        if seen is not None and seen.st_uid != 0:
            return ways.belongs_to_another(place, seen.st_uid)
        if seen is not None and seen.st_mode & 0o022:
            return ways.others_may_write(place, f"{seen.st_mode & 0o7777:o}")
    return NOTHING


def _port(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) <= 5 else 22
    return number if 0 < number < 65_536 else 22
