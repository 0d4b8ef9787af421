"""The tenant that a person looks at: lists show its things alone; and whose a single thing on a page is."""

from django.http import HttpRequest

from panel.rights.actor import Actor
from panel.tenants.models import Tenant, Tenants

_SESSION_KEY = "tenant"
_SHOWN = "_shown_tenant"


def chosen_tenant(request: HttpRequest, actor: Actor) -> Tenant | None:
    """The tenant named by `?tenant=<slug>`, else the one chosen last; None: all that one sees.

    An empty `?tenant=` goes back to all.
    """
    slug = request.GET.get("tenant")
    if slug is None:
        slug = request.session.get(_SESSION_KEY, "")
    found = Tenant.objects.for_actor(actor).filter(slug=slug).first() if slug else None
    if request.session.get(_SESSION_KEY, "") != (found.slug if found else ""):
        request.session[_SESSION_KEY] = found.slug if found else ""
    return found


def shows(request: HttpRequest, actor: Actor, tenant: Tenant | None) -> None:
    """Says whose the one thing is that the page shows, for the frame around it; what was chosen stays chosen.

    Nothing, where it is nobody's, or of a tenant that the actor doesn't see: a thing of it was shared with him.
    """
    if tenant is not None and actor.can(Tenants.view_permission, tenant):
        setattr(request, _SHOWN, tenant)


def shown_tenant(request: HttpRequest) -> Tenant | None:
    """None: the page shows a list, or nothing of a tenant's."""
    found: Tenant | None = getattr(request, _SHOWN, None)
    return found
