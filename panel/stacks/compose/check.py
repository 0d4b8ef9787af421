"""A service against the contract of apps: what no node would take is refused here, at the line that asks."""

import re
from typing import Final, get_args

from pydantic import ValidationError

from panel.contract_input import said_in
from panel.stacks.compose import sentences
from panel.stacks.compose.problems import Place, Reading, plain
from panel.stacks.compose.service import Service
from runtime.contract import AppRun, Reference
from runtime.contract.base import HostNameText
from runtime.contract.said import Said
from runtime.contract.secret import MOST, MOST_BYTES, SecretName

_HOST = re.compile(get_args(HostNameText)[1].pattern)
_SECRET = re.compile(get_args(SecretName)[1].pattern)
#: Keys of the file by fields of `AppRun`.
_KEYS: Final = {
    "args": "command",
    "command": "entrypoint",
    "env": "environment",
    "workdir": "working_dir",
    "health": "healthcheck",
    "hosts": "extra_hosts",
    "logs": "logging",
    "files": "configs",
    "shm_mb": "shm_size",
}


def check_service(reading: Reading, place: Place, service: Service) -> None:
    """All that is wrong goes into `reading`."""
    if service.image:
        try:
            service.image = str(Reference.parse(service.image))
        except ValueError as odd:
            reading.refuse(
                (*place, "image"), sentences.odd_image(plain(service.image), sentences.of_contract(odd.args[0]))
            )
    try:
        AppRun.model_validate(service.app)
    except ValidationError as wrong:
        for one in wrong.errors(include_url=False, include_input=False):
            key = str(one["loc"][0]) if one["loc"] else ""
            said = said_in(one) or Said(plain(str(one["msg"]), 200))
            reading.refuse((*place, _KEYS.get(key, key)), said)
    for name in (*service.aliases, *service.links):
        if not _HOST.fullmatch(name):
            reading.refuse(place, sentences.odd_alias(plain(name)))
    _check_secrets(reading, place, service)
    _check_places(reading, place, service)


def _check_secrets(reading: Reading, place: Place, service: Service) -> None:
    if len(service.secrets) > MOST:
        reading.refuse((*place, "secrets"), sentences.too_many_secrets(MOST))
    for name, text in service.secrets.items():
        if not _SECRET.fullmatch(name):
            reading.refuse((*place, "secrets"), sentences.secret_name(plain(name)))
        if len(text.encode()) > MOST_BYTES:
            reading.refuse((*place, "secrets"), sentences.secret_too_long(plain(name)))


def _check_places(reading: Reading, place: Place, service: Service) -> None:
    """What would hide something else, or be hidden."""
    mounted = [one.path for one in service.mounts] + [
        one.partition(":")[0] for one in service.app.get("tmpfs", ())
    ]
    for number, path in enumerate(mounted):
        other = next((one for one in mounted[:number] if _within(path, one) or _within(one, path)), None)
        if other is not None:
            reading.refuse((*place, "volumes"), sentences.in_each_other(plain(path), plain(other)))
    for path in service.app.get("files", {}):
        hidden = next((one for one in mounted if _within(path, one)), None)
        if hidden is not None:
            reading.refuse((*place, "configs"), sentences.hidden(plain(path), plain(hidden)))


def _within(path: str, place: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{place.rstrip('/')}/")
