"""What an image's every copy would share is another in each: keys that OpenSSH reads, ids, seeds."""

import os
import shutil
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from runtime.host.safetree import SafeTree, UnsafePath
from runtime.resources import hostkeys, unique
from runtime.resources.unique import REMOVED, make_unique


def _keygen(*words: str | Path) -> str:
    done = subprocess.run(["ssh-keygen", *words], check=True, capture_output=True, text=True, timeout=30)
    return done.stdout


def _image(place: Path, *kinds: str) -> Path:
    for name in ("etc/ssh", "var/lib/dbus", "var/lib/systemd", "etc/dropbear", "etc/iscsi", "etc/bind"):
        (place / name).mkdir(parents=True)
    (place / "etc/machine-id").write_text("a" * 32 + "\n")
    for kind in kinds:
        _keygen("-q", "-t", kind, "-N", "", "-f", place / f"etc/ssh/ssh_host_{kind}_key")
    return place


def _copy(image: Path, to: Path) -> Path:
    shutil.copytree(image, to, symlinks=True)
    with SafeTree.open(to) as tree:
        make_unique(tree, to.name)
    return to


def test_host_keys_are_new_of_the_same_kinds_and_openssh_reads_them(tmp_path: Path) -> None:
    image = _image(tmp_path / "image", "ed25519", "ecdsa", "rsa")
    (image / "etc/ssh/ssh_host_ed25519_key").chmod(0o640)
    (image / "etc/ssh/ssh_host_ed25519_key-cert.pub").touch()
    places = [image, _copy(image, tmp_path / "one"), _copy(image, tmp_path / "two")]
    for kind in ("ed25519", "ecdsa"):
        private = [one / f"etc/ssh/ssh_host_{kind}_key" for one in places]
        public = [Path(f"{one}.pub").read_text().split()[:2] for one in private]
        assert len({one[1] for one in public}) == 3
        for key, known in zip(private[1:], public[1:], strict=True):
            assert key.stat().st_mode == private[0].stat().st_mode
            copy = tmp_path / "key"
            copy.touch(0o600)
            copy.write_bytes(key.read_bytes())
            assert _keygen("-y", "-f", copy).split()[:2] == known
    assert not list((tmp_path / "one/etc/ssh").glob("*rsa*")), "takes a second, and there are others"
    assert not list((tmp_path / "one/etc/ssh").glob("*cert*"))


@pytest.mark.parametrize("said", ["", "HostKey /etc/ssh/ssh_host_rsa_key\n"])
def test_an_image_that_has_or_names_rsa_alone_gets_rsa(tmp_path: Path, said: str) -> None:
    image = _image(tmp_path / "image", "rsa", *(["ed25519"] if said else []))
    (image / "etc/ssh/sshd_config").write_text(said)
    one = _copy(image, tmp_path / "one")
    there = {path.name for path in (one / "etc/ssh").glob("ssh_host*")}
    assert there == {"ssh_host_rsa_key", "ssh_host_rsa_key.pub"}
    assert "ssh-rsa" in (one / "etc/ssh/ssh_host_rsa_key.pub").read_text()
    assert (one / "etc/ssh/ssh_host_rsa_key").read_bytes() != (image / "etc/ssh/ssh_host_rsa_key").read_bytes()


def test_a_host_key_under_another_name_and_behind_a_link(tmp_path: Path) -> None:
    image = _image(tmp_path / "image")
    (image / "usr/keys").mkdir(parents=True)
    _keygen("-q", "-t", "ecdsa", "-N", "", "-f", image / "usr/keys/mine")
    (image / "srv").symlink_to("/usr/keys")
    (image / "etc/ssh/sshd_config.d").mkdir()
    (image / "etc/ssh/sshd_config.d/1.conf").write_text("  hostkey /srv/mine\n")
    one = _copy(image, tmp_path / "one")
    assert (one / "usr/keys/mine").read_bytes() != (image / "usr/keys/mine").read_bytes()
    assert (one / "usr/keys/mine.pub").read_text().startswith("ecdsa-sha2-nistp256 ")


def test_keys_of_dropbear_are_new(tmp_path: Path) -> None:
    image = _image(tmp_path / "image")
    for kind in ("ed25519", "ecdsa", "rsa", "dss"):
        (image / f"etc/dropbear/dropbear_{kind}_host_key").write_bytes(b"old")
    one = _copy(image, tmp_path / "one") / "etc/dropbear"
    assert {path.name for path in one.iterdir()} == {"dropbear_ed25519_host_key", "dropbear_ecdsa_host_key"}
    fields = []
    left = (one / "dropbear_ed25519_host_key").read_bytes()
    while left:
        (size,) = struct.unpack_from(">I", left)
        fields.append(left[4 : 4 + size])
        left = left[4 + size :]
    assert [len(field) for field in fields] == [11, 64]
    assert b"".join(fields).startswith(b"ssh-ed25519")


def test_ids_seeds_and_secrets_are_others(tmp_path: Path) -> None:
    image = _image(tmp_path / "image")
    (image / "var/lib/dbus/machine-id").write_text("a" * 32 + "\n")
    old = {
        "etc/iscsi/initiatorname.iscsi": "## a\nInitiatorName=iqn.1993-08.org.debian:01:abcdef\n",
        "etc/bind/rndc.key": 'key "rndc-key" {\n\tsecret "b2xk";\n};\n',
        "etc/hostid": "abcd",
        **{path[1:]: "old" for path in REMOVED},
    }
    for name, text in old.items():
        (image / name).parent.mkdir(parents=True, exist_ok=True)
        (image / name).write_text(text)
    one, two = _copy(image, tmp_path / "one"), _copy(image, tmp_path / "two")
    for place in (one, two):
        identity = (place / "etc/machine-id").read_text()
        assert len(identity) == 33
        assert (place / "var/lib/dbus/machine-id").read_text() == identity
        assert not [path for path in REMOVED if (place / path[1:]).exists()]
    for name in ("etc/machine-id", *list(old)[:3]):
        assert len({(place / name).read_bytes() for place in (image, one, two)}) == 3, name
    initiator = (one / "etc/iscsi/initiatorname.iscsi").read_text()
    assert initiator.startswith("## a\nInitiatorName=iqn.1993-08.org.debian:01:")
    assert 'key "rndc-key" {\n\tsecret "' in (one / "etc/bind/rndc.key").read_text()


def test_the_certificate_that_everybody_has_is_ones_own(tmp_path: Path) -> None:
    image = _image(tmp_path / "image")
    for name in ("etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem"):
        (image / name).parent.mkdir(parents=True)
        (image / name).write_text("old")
    (image / "etc/ssl/private/ssl-cert-snakeoil.key").chmod(0o640)
    one = _copy(image, tmp_path / "one") / "etc/ssl"
    assert (one / "private/ssl-cert-snakeoil.key").stat().st_mode & 0o777 == 0o640
    certificate = one / "certs/ssl-cert-snakeoil.pem"
    words = ["openssl", "x509", "-in", certificate, "-noout", "-subject", "-pubkey"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=20).stdout
    assert "CN = one" in said
    words = ["openssl", "pkey", "-in", one / "private/ssl-cert-snakeoil.key", "-pubout"]
    assert subprocess.run(words, check=True, capture_output=True, text=True, timeout=20).stdout in said


def test_odd_things_in_their_places_lead_nowhere(tmp_path: Path) -> None:
    """A link at the very name isn't followed, and nothing outside of the tree is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ssh_host_ed25519_key").write_text("kept")
    image = _image(tmp_path / "image")
    (image / "etc/ssh/ssh_host_ed25519_key").symlink_to(outside / "ssh_host_ed25519_key")
    (image / "etc/ssh/ssh_host_ecdsa_key").mkdir()
    (image / "etc/ssh/sshd_config").write_text(
        "HostKey /../../outside/ssh_host_ed25519_key\nHostKey /nowhere\n"
    )
    (image / "var/lib/urandom").symlink_to(outside)
    (image / "etc/dropbear").rmdir()
    (image / "etc/dropbear").symlink_to("../../outside")
    (image / "etc/hostid").symlink_to("/etc/machine-id")
    one = _copy(image, tmp_path / "one")
    assert (outside / "ssh_host_ed25519_key").read_text() == "kept"
    assert not (one / "etc/ssh/ssh_host_ed25519_key").is_symlink()
    assert [path.name for path in outside.iterdir()] == ["ssh_host_ed25519_key"]
    assert hostkeys.KINDS


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/ssh/sshd_config", "\n" * 2**19),
        ("etc/ssh/sshd_config", "HostKey" + " " * 2**19),
        ("etc/ssh/sshd_config", ("HostKey /x" + " " * 100 + "y\n") * 2**12),
        ("etc/iscsi/initiatorname.iscsi", "InitiatorName=" + "=" * 2**19 + ":"),
        ("etc/bind/rndc.key", 'secret "' * 2**16),
    ],
)
def test_no_text_of_an_image_keeps_the_node_busy(tmp_path: Path, path: str, text: str) -> None:
    """A search that went back and forth took hours for such a file, and the node's other threads waited."""
    image = _image(tmp_path / "image")
    (image / path).write_text(text)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # ends it in the middle of a search too
        try:
            with SafeTree.open(image) as tree:
                make_unique(tree, "one")
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_an_image_can_not_name_host_keys_without_end(tmp_path: Path) -> None:
    image = _image(tmp_path / "image")
    (image / "keys").mkdir()
    for number in range(hostkeys.MOST_NAMED + 1):
        (image / f"keys/{number}").touch()
    lines = [f"HostKey /keys/{number}  # ours\n" for number in range(hostkeys.MOST_NAMED + 1)]
    (image / "etc/ssh/sshd_config").write_text("".join(lines[1:]))
    assert (_copy(image, tmp_path / "one") / "keys/1").stat().st_size, "so many are made anew"
    (image / "etc/ssh/sshd_config").write_text("".join(lines))
    with pytest.raises(UnsafePath, match="names more than"):
        _copy(image, tmp_path / "two")


def test_an_image_can_not_have_the_same_text_read_a_thousand_times(tmp_path: Path) -> None:
    image = _image(tmp_path / "image")
    (image / "etc/ssh/sshd_config.d").mkdir()
    (image / "etc/long").write_text("#" * (hostkeys.MOST_CHARACTERS // 4))
    for number in range(4):
        (image / f"etc/ssh/sshd_config.d/{number}").symlink_to("/etc/long")
    _copy(image, tmp_path / "one")
    (image / "etc/ssh/sshd_config.d/more").symlink_to("/etc/long")
    with pytest.raises(UnsafePath, match="too long"):
        _copy(image, tmp_path / "two")


def test_an_initiator_s_name_keeps_what_is_before_its_last_colon() -> None:
    old = b"# one\nInitiatorName=iqn.1993-08.org.debian:01:abcdef\nInitiatorName=plain\n"
    lines = unique._initiator(old).split(b"\n")
    assert lines[0] == b"# one"
    assert lines[1].startswith(b"InitiatorName=iqn.1993-08.org.debian:01:")
    assert b"abcdef" not in lines[1]
    assert lines[2].startswith(b"InitiatorName=")
    assert b"plain" not in lines[2]
