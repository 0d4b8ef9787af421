"""Where a person is signed in, and signing out there."""

import hashlib
from collections.abc import Iterable

from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils.translation import gettext as _

from panel import events
from panel.accounts import answers
from panel.audit.services import record
from panel.errors import NotFound, Refused
from panel.rights.actor import Actor


def sessions_of(actor: Actor) -> list[UserSession]:
    """One's own that still are, the newest first."""
    _refuse_narrow_token(actor)
    return sorted(UserSession.objects.purge_and_list(actor.user), key=lambda one: one.created_at, reverse=True)


def sign_out(actor: Actor, session_id: str) -> None:
    """Sign out there: pages, API and sockets of it are closed at once. `NotFound` for another person's."""
    _refuse_narrow_token(actor)
    own = {id_of(one): one for one in UserSession.objects.filter(user=actor.user)}
    row = own.get(session_id)
    if row is None:
        raise NotFound(_("This session"))
    sign_out_of(actor, [row])


def sign_out_of(actor: Actor, sessions: Iterable[UserSession]) -> None:
    with transaction.atomic():
        for one in sessions:
            after = {"ip": one.ip, "user_agent": one.user_agent}
            record(actor, "session.end", target=actor.user, before=after)
            one.end()
        events.rights_changed(actor.user.pk)


def id_of(row: UserSession) -> str:
    """What its owner calls it by: the row's number would count how often anybody signs in."""
    return hashlib.sha256(f"wadah.session-id {row.session_key}".encode()).hexdigest()[:32]


def show(row: UserSession, current_key: str | None) -> answers.Session:
    return {
        "id": id_of(row),
        "ip": row.ip,
        "user_agent": row.user_agent,
        "created_at": row.created_at.isoformat(),
        "is_current": row.session_key == current_key,
    }


def _refuse_narrow_token(actor: Actor) -> None:
    if not actor.speaks_for_its_person:
        raise Refused(
            _("A token with a tenant or a list of permissions has no say over its person's sign-ins."),
            code="forbidden",
            status=403,
        )
