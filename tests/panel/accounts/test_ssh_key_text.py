"""SSH keys are taken as OpenSSH reads them, and as nothing else would."""

import base64
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from panel.accounts.ssh_key_text import check_ssh_keys
from panel.errors import Invalid

_GOOD = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVGtcjpm7JpkmpEDzEpMCcYyBGnXMFNXfMbqXgvKAZX"
_BLOB = _GOOD.split()[1]


def _rsa(bits: int) -> str:
    key = generate_private_key(65537, max(bits, 1024)).public_key()
    if bits >= 1024:
        return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    number = int.from_bytes(os.urandom(bits // 8), "big") | 1 << (bits - 1) | 1
    fields = (b"ssh-rsa", b"\x01\x00\x01", b"\x00" + number.to_bytes(bits // 8, "big"))
    return f"ssh-rsa {_packed(*fields)}"


def _packed(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(one).to_bytes(4, "big") + one for one in fields)).decode()


_SK = "sk-ssh-ed25519@openssh.com"
_SK_GOOD = f"{_SK} {_packed(_SK.encode(), bytes(range(32)), b'ssh:')}"


@pytest.mark.parametrize(
    "text", [_GOOD, f"{_GOOD} me@laptop", f"  {_GOOD}\tme and my laptop \n", _SK_GOOD, f"{_SK_GOOD} yubikey"]
)
def test_taken(text: str) -> None:
    assert check_ssh_keys([text, text]) == [text.strip()]


@pytest.mark.parametrize("bits", [1024, 2048])
def test_rsa_of_a_usual_size_is_taken(bits: int) -> None:
    assert check_ssh_keys([_rsa(bits)])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((f"ssh-ed25519{space}{_BLOB}", "OpenSSH") for space in "\u00a0\u2003\u3000\u0085\u2028\x0b\x0c"),
        (f"\ufeff{_GOOD}", "U\\+FEFF"),
        (f"{_GOOD} me\u200b", "U\\+200B"),
        (f"{_SK} {_packed(_SK.encode())}", "copy the whole line"),
        (f"{_SK} {_packed(_SK.encode(), bytes(32))}", "copy the whole line"),
        (f"{_SK} {_packed(_SK.encode(), bytes(31), b'ssh:')}", "copy the whole line"),
        (f"{_SK_GOOD[:-8]}", "copy the whole line"),
        (f"{_GOOD} {_GOOD}", "another key"),
        (f"{_GOOD} me {_SK_GOOD}", "another key"),
        (_rsa(512), "bits|copy"),
        (_rsa(768), "bits|copy"),
        (f"{_GOOD}\n{_GOOD}", "one line"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "isn't known"),
    ],
)
def test_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        check_ssh_keys([_GOOD, text])
    assert "SSH key 2" in refused.value.message


@pytest.mark.parametrize("text", [_GOOD, _SK_GOOD, _rsa(2048)])
def test_ssh_keygen_takes_what_is_taken(text: str, tmp_path: Path) -> None:
    try:
        (tmp_path / "key.pub").write_text(f"{text}\n")
        done = subprocess.run(
            ["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no ssh-keygen here")
    assert done.returncode == 0, done.stderr
