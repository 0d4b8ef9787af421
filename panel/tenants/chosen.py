"""The tenant that a person looks at: of its things alone, lists show."""

from django.http import HttpRequest

from panel.rights.actor import Actor
from panel.tenants.models import Tenant

_SESSION_KEY = "tenant"


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
