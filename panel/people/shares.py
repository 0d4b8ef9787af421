"""Shares of single environments. They begin by an invitation (see `invitations`)."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel import events
from panel.access.models import Share
from panel.audit.services import record
from panel.errors import NotFound
from panel.rights.actor import Actor
from panel.rights.permissions import Permission


def remove_share(actor: Actor, share_id: UUID) -> Share:
    """At once: the person's sockets close. He himself may give it up as well."""
    with transaction.atomic():
        rows = Share.objects.select_for_update(of=("self",))
        share = rows.select_related("environment__tenant", "user").filter(pk=share_id).first()
        if share is None:
            raise NotFound(_("This share"))
        is_own = share.user_id == actor.user.pk and actor.speaks_for_its_person
        if not is_own and not actor.can(Permission.ENVIRONMENT_SHARE, share.environment):
            if actor.can(Permission.ENVIRONMENT_VIEW, share.environment):
                actor.require(Permission.ENVIRONMENT_SHARE, share.environment)
            raise NotFound(_("This share"))
        record(
            actor,
            "share.remove",
            tenant_id=share.tenant_id,
            target=share.environment,
            before={"person": share.user.username, "permissions": share.permissions},
        )
        events.rights_changed(share.user_id)
        events.publish("environment", share.environment_id, share.tenant_id)
        share.delete()
    return share
