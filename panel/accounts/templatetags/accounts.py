"""For the sign-in page."""

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def sso_name() -> str:
    """What the button for single sign-on says; empty when there is none."""
    return settings.WADAH.oidc_name if settings.WADAH.oidc_url else ""
