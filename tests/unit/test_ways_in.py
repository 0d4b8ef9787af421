"""Which ways in root has is read from an image's own files, as its SSH server reads them."""

from pathlib import Path

import pytest

from runtime.contract.ways_in import WayName, WaysIn
from runtime.host.safetree import SafeTree
from runtime.ways_in import looking, sshd_config
from runtime.ways_in.looking import ways_in

_HASH = "$6$salt$hash"
_SSHD = "etc/ssh/sshd_config"
_WANTED = "etc/systemd/system/multi-user.target.wants/ssh.service"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A Debian of ours: systemd, sshd that lets root in by both, a key, a password, a getty."""
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "etc/shadow": f"root:{_HASH}:19000:0:99999:7:::\n",
        "etc/group": "root:x:0:\nadm:x:4:root,syslog\n",
        _SSHD: "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\nUsePAM yes\n",
        "root/.ssh/authorized_keys": "# ours\nssh-ed25519 AAAA me\n",
        "usr/lib/systemd/systemd": "",
    }
    for name, text in files.items():
        _write(tmp_path, name, text)
    for name in ("bin/bash", "usr/sbin/sshd", "sbin/agetty"):
        _write(tmp_path, name, "")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "sbin/init").symlink_to("/usr/lib/systemd/systemd")
    (tmp_path / _WANTED).parent.mkdir(parents=True)
    (tmp_path / _WANTED).symlink_to("/lib/systemd/system/ssh.service")
    for name in ("root", "root/.ssh"):
        (tmp_path / name).chmod(0o700)
    return tmp_path


def _write(tree: Path, name: str, text: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)


def _look(tree: Path, listens: looking.Listens | None = None) -> WaysIn:
    with SafeTree.open(tree) as safe:
        return ways_in(safe, listens)


def _why(tree: Path) -> tuple[str, str, str]:
    """Of the console, of SSH with a key, with the password; empty where it is open."""
    found = _look(tree)
    assert all(one.is_open == (not one.why) for one in found.ways)
    return str(found.of(WayName.CONSOLE).why), str(found.of(WayName.SSH_KEY).why), str(found.ways[2].why)


def test_a_debian_of_ours_lets_root_in_by_all(tree: Path) -> None:
    assert _why(tree) == ("", "", "")


@pytest.mark.parametrize(
    ("says", "key", "password"),
    [
        ("permitrootlogin = prohibit-password", "", "PermitRootLogin prohibit-password"),
        ("PermitRootLogin no", "PermitRootLogin no", "PermitRootLogin no"),
        ("PermitRootLogin forced-commands-only", "forced-commands-only", "forced-commands-only"),
        ("PubkeyAuthentication no", "PubkeyAuthentication no", ""),
        ("PasswordAuthentication no", "", ""),  # by PAM all the same
        ("PasswordAuthentication no\nKbdInteractiveAuthentication no", "", "PasswordAuthentication no"),
        ("AllowUsers alice bob", "AllowUsers alice bob", "AllowUsers alice bob"),
        ("AllowUsers alice\nAllowUsers root@10.0.0.0/8", "", ""),
        ("AllowGroups adm", "", ""),
        ("AllowGroups ssh-users", "AllowGroups ssh-users", "AllowGroups ssh-users"),
        ("DenyUsers r?ot", "DenyUsers r?ot", "DenyUsers r?ot"),
        ("DenyGroups adm", "DenyGroups adm", "DenyGroups adm"),
        ("AuthenticationMethods publickey,password", "more than one proof", "more than one proof"),
        ("AuthenticationMethods publickey", "", "more than one proof"),
        ("AuthorizedKeysFile /etc/keys/%u", "looks for keys elsewhere", ""),
        ("Match User *,!root\nPermitRootLogin no\nMatch Address 10.0.0.0/8\nPermitRootLogin no", "", ""),
        ("Match User root Group root\n  PermitRootLogin no", "PermitRootLogin no", "PermitRootLogin no"),
        ('Match all\n  PermitRootLogin "no" # all', "PermitRootLogin no", "PermitRootLogin no"),
        ("# PermitRootLogin no\nPermitRootLogin yes\nPermitRootLogin no", "", ""),
    ],
)
def test_what_sshd_says_of_root_counts(tree: Path, says: str, key: str, password: str) -> None:
    _write(tree, "etc/ssh/sshd_config.d/10-own.conf", says + "\n")
    console, by_key, by_password = _why(tree)
    assert console == ""
    for expected, why in ((key, by_key), (password, by_password)):
        assert (expected in why) if expected else why == ""


def test_a_system_without_a_server_or_a_shell_says_which_is_missing(tree: Path) -> None:
    (tree / _WANTED).unlink()
    assert _why(tree) == ("", *["its SSH server isn't started at boot"] * 2)
    (tree / "usr/sbin/sshd").unlink()
    assert _why(tree) == ("", *["no SSH server is installed"] * 2)
    (tree / "sbin/agetty").unlink()
    assert "no getty" in _why(tree)[0]
    _write(tree, "etc/passwd", "root:x:0:0::/root:/usr/sbin/nologin\n")
    assert _why(tree)[0] == "root's shell is /usr/sbin/nologin"
    _write(tree, "etc/passwd", "root:x:0:0::/root:/bin/zsh\n")
    assert "/bin/zsh isn't there" in _why(tree)[0]
    _write(tree, "etc/passwd", "toor:x:0:0::/root:/bin/bash\n")
    assert _why(tree) == ("/etc/passwd has no root",) * 3


def test_an_account_without_a_password_or_a_key_and_one_that_is_locked(tree: Path) -> None:
    _write(tree, "etc/shadow", "root:*:19000::::::\n")
    assert _why(tree) == ("root has no password", "", "root has no password")
    _write(tree, "etc/shadow", "root:!:19000::::::\n")
    _write(tree, _SSHD, "UsePAM no\n")
    assert "locked" in _why(tree)[1]
    _write(tree, "root/.ssh/authorized_keys", "\n# none\n")
    _write(tree, _SSHD, "UsePAM yes\n")
    assert _why(tree)[1] == "no key is in /root/.ssh/authorized_keys"


def test_keys_where_others_may_write_are_not_taken(tree: Path) -> None:
    (tree / "root").chmod(0o777)
    assert "/root is 777" in _why(tree)[1]
    _write(tree, _SSHD, "StrictModes no\n")
    assert _why(tree)[1] == ""


def test_what_listens_now_goes_before_what_is_started_at_boot(tree: Path) -> None:
    (tree / _WANTED).unlink()
    _write(tree, _SSHD, "Port 2222\nPermitRootLogin yes\n")
    assert _look(tree, {2222}.__contains__).of(WayName.SSH_KEY).is_open
    shut = _look(tree, {22}.__contains__)
    assert (shut.ssh_port, str(shut.of(WayName.SSH_KEY).why)) == (2222, "nothing listens on port 2222")


def test_a_listening_socket_on_loopback_is_no_way_in() -> None:
    head = "  sl  local_address rem_address   st\n"
    assert looking._listening(head + "   0: 0100007F:0016 00000000:0000 0A\n") == set()
    assert looking._listening(head + "   0: 00000000:0016 00000000:0000 0A\n   1: 0:0 0:0 01\n") == {22}


def test_dropbear_is_asked_by_its_arguments(tree: Path) -> None:
    (tree / "usr/sbin/sshd").rename(tree / "usr/sbin/dropbear")
    (tree / _WANTED).rename(tree / _WANTED.replace("ssh.", "dropbear."))
    _write(tree, "etc/shells", "/bin/sh\n")
    assert "/etc/shells" in _why(tree)[1]
    _write(tree, "etc/shells", "/bin/bash\n")
    assert _why(tree) == ("", "", "")
    _write(tree, "etc/default/dropbear", '# -w\nDROPBEAR_EXTRA_ARGS="-s -p 22"\n')
    assert _why(tree)[1:] == ("", "dropbear says “-s”")


def test_a_hostile_configuration_ends_soon(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tree, "etc/ssh/sshd_config.d/00.conf", f"Include {'/etc/ssh/sshd_config.d/* ' * 1000}\n")
    for number in range(1, 100):
        _write(tree, f"etc/ssh/sshd_config.d/{number}.conf", f"DenyUsers {'*a' * 400}\n" * 20)
    (tree / "etc/ssh/sshd_config.d/fifo.conf").symlink_to("/dev/zero")
    listed = 0

    def names(*_: object) -> list[str]:
        nonlocal listed
        listed += 1
        return SafeTree.names(safe, "/etc/ssh/sshd_config.d")

    with SafeTree.open(tree) as safe:
        reader = sshd_config._Reader(safe, frozenset())
        monkeypatch.setattr(safe, "names", names)
        reader.read(sshd_config.PLACE)
    assert 1 < listed <= 64
    assert sum(len(one) for one in reader.settings.words("denyusers")) <= sshd_config._MOST_BYTES


def test_files_of_keys_and_groups_without_end_are_looked_at_a_few_times(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 20,000 files had a megabyte to read: half an hour of a worker."""
    places = " ".join(f"/k{number}" for number in range(5000))
    patterns = " ".join(f"*{number}" for number in range(3000))
    _write(tree, _SSHD, f"PermitRootLogin yes\nAuthorizedKeysFile {places}\nDenyGroups {patterns}\n")
    _write(tree, "etc/group", "".join(f"group{number}x:x:0:\n" for number in range(5000)))
    read, tried = list[str](), list[str]()
    with SafeTree.open(tree) as safe:
        plainly = safe.read

        def reads(path: str, *more: int) -> bytes | None:
            read.append(path)
            return plainly(path, *more)

        def matches(name: str, _pattern: str) -> bool:
            tried.append(name)
            return False

        monkeypatch.setattr(safe, "read", reads)
        monkeypatch.setattr(sshd_config, "fnmatchcase", matches)
        assert "elsewhere" in str(ways_in(safe).of(WayName.SSH_KEY).why)
    assert len(read) < 50
    assert 0 < len(set(tried)) <= 64
    assert len(tried) <= 64 * 1024 * 2  # for a key, and for a password


def test_a_nul_in_a_configuration_is_no_path_and_in_no_sentence(tree: Path) -> None:
    _write(tree, _SSHD, "Include /etc/\0x/*.conf\nPermitRootLogin n\0\x1b[2Jo\n")
    assert _why(tree)[1] == "sshd says “PermitRootLogin n\ufffd\ufffd[2Jo”"
