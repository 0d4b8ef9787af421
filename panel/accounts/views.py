"""The page of what is asked of everybody's sign-in."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from panel.accounts.models import User
from panel.accounts.policy import policy, set_policy
from panel.rights.permissions import Permission
from panel.ui.web import PageRequest, page, signed_in


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def sign_in(request: PageRequest) -> HttpResponse:
    """What the installation asks of everybody's sign-in, and how it can be done."""
    request.actor.require(Permission.USER_MANAGE)
    if request.method == "POST":
        set_policy(request.actor, requires_mfa=request.POST.get("requires_mfa") == "1")
        messages.success(request, _("Saved"))
        return redirect("sign-in")
    context = {
        "section": "sign-in",
        "policy": policy(),
        "wadah": settings.WADAH,
        "without": User.objects.filter(is_active=True, authenticator=None).count(),
        "hours": settings.SESSION_COOKIE_AGE // 3600,
        "idle_minutes": settings.WADAH.session_idle_s // 60,
    }
    return page(request, "accounts/sign_in.html", context)
