"""For the sign-in page and the list of sessions."""

from django import template
from django.conf import settings

from panel.accounts.device import device
from panel.accounts.signed_in import id_of

register = template.Library()
register.filter("device", device)
register.filter("session_id", id_of)


@register.simple_tag
def sso_name() -> str:
    """What the button for single sign-on says; empty when there is none."""
    return settings.WADAH.oidc_name if settings.WADAH.oidc_url else ""
