"""/api/v1/ssh-keys: the keys that one keeps oneself."""

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from panel.accounts import answers
from panel.accounts.models import SshKey
from panel.accounts.ssh_keys import add_ssh_key, kept_keys, remove_ssh_key
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.rights.asking import actor

router = Router()


class SshKeyToKeep(Input):
    text: str = Field(max_length=20_000)
    name: str = Field(default="", max_length=200)


def _show(row: SshKey) -> answers.SshKey:
    return {
        "id": str(row.pk),
        "name": row.name,
        "text": row.text,
        "fingerprint": row.fingerprint,
        "created_at": row.created_at.isoformat(),
    }


@router.get("", response=ListOf[answers.SshKey], operation_id="ssh_keys_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.SshKey]:
    """One's own. Not for tokens that are bound to a tenant or a list of permissions."""
    return page_of(kept_keys(actor(request)), page, _show)


@router.post("", response={201: answers.SshKey}, operation_id="ssh_keys_add")
def add(request: HttpRequest, payload: SshKeyToKeep) -> Status[answers.SshKey]:
    return Status(201, _show(add_ssh_key(actor(request), **payload.model_dump())))


@router.delete("/{pk}", response={204: None}, operation_id="ssh_keys_remove")
def remove(request: HttpRequest, pk: str) -> Status[None]:
    """Environments that have it keep it."""
    remove_ssh_key(actor(request), uuid_of(pk, "This SSH key"))
    return Status(204, None)
