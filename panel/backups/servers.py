"""Servers that targets lie on: what people say of them becomes a place and what opens it."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
from django.utils.translation import gettext as _

from panel.contract_input import parse
from panel.errors import Invalid
from runtime.contract import S3Keys, S3Place, SftpLogin, SftpPlace

#: By kind: what says where it lies, and what opens it. Named as in the API.
PLACES = {
    "directory": (),
    "node": (),
    "sftp": ("host", "port", "user", "path", "host_key"),
    "s3": ("endpoint", "bucket", "prefix", "region", "ca"),
}
LOGINS = {
    "directory": (),
    "node": (),
    "sftp": ("login_password", "private_key"),
    "s3": ("access_key", "secret_key"),
}
#: Whoever is asked under another of these is another: what opened the old one isn't shown to it.
OF_WHOM = ("host", "port", "user", "endpoint")
_CONTRACT = {"login_password": "password"}


def refuse_others(kind: str, given: Mapping[str, Any]) -> None:
    """Raises `Invalid` for what a target of this kind has not."""
    known = (*PLACES[kind], *LOGINS[kind])
    for name, value in given.items():
        if value not in ("", None) and name not in known:
            raise Invalid(_("A target of the kind %(kind)s has no such field.") % {"kind": kind}, field=name)


def place_of(kind: str, given: Mapping[str, Any], *, is_inward: bool) -> SftpPlace | S3Place:
    """Raises `Invalid`, with the field."""
    values = {name: given[name] for name in PLACES[kind] if given.get(name) not in ("", None)}
    if kind == "s3":
        if not is_inward and str(values.get("endpoint", "")).strip().lower().startswith("http:"):
            raise Invalid(
                _("Without TLS only where an administrator allows an inward address: begin with https://."),
                field="endpoint",
            )
        return parse(S3Place, {**values, "is_inward": is_inward})
    if "host_key" in values:
        values["host_key"] = " ".join(str(values["host_key"]).split()[:2])
    return parse(SftpPlace, {**values, "is_inward": is_inward})


def login_of(kind: str, given: Mapping[str, Any]) -> SftpLogin | S3Keys:
    """Raises `Invalid`, with the field."""
    values = {_CONTRACT.get(name, name): given[name] for name in LOGINS[kind] if given.get(name)}
    if kind == "s3":
        return parse(S3Keys, values)
    if not values:
        raise Invalid(_("Give a password or a private key for the server."), field="login_password")
    login = parse(SftpLogin, values)
    if login.private_key:
        _refuse_what_opens_nothing(login.private_key)
    return login


def _refuse_what_opens_nothing(key: str) -> None:
    is_old = "BEGIN OPENSSH" not in key
    try:
        (load_pem_private_key if is_old else load_ssh_private_key)(key.encode(), None)
    except Exception as odd:  # as many sorts as there are ways to write a key
        raise Invalid(
            _("This is no private key as ssh-keygen writes them without a passphrase."), field="private_key"
        ) from odd
