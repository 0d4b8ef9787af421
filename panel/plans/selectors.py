"""Reads of plans."""

from django.utils.translation import gettext as _

from panel.accounts.actor import Actor
from panel.errors import Invalid
from panel.plans.models import Plan
from runtime.contract import Limits


def limits_named(actor: Actor, slug: str) -> Limits:
    """The limits of the newest version of a plan that the actor sees; `Invalid` when there is none."""
    plan = Plan.objects.for_actor(actor).filter(slug=slug, retired_at=None).first()
    version = plan.versions.order_by("-number").first() if plan is not None else None
    if version is None:
        raise Invalid(_("There is no plan %(slug)s.") % {"slug": slug[:63]}, field="plan", code="unknown_plan")
    return Limits.model_validate(version.limits)
