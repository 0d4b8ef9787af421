"""What a plan's version allows an environment that has it. Each refusal is a sentence about one field."""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.utils.translation import gettext as _

from panel.errors import Conflict, Invalid
from panel.plans.models import PlanVersion
from panel.quotas.models import Resource
from panel.tenants.models import Tenant


def check_choices(
    version: PlanVersion | None,
    *,
    kind: str,
    kernel: str,
    image: str,
    devices: Iterable[str] = (),
    host_devices: Iterable[str] = (),
) -> None:
    """`Invalid` for a kind, kernel, image or device that the plan leaves out; a no-op without a plan."""
    if version is None:
        return
    choices = version.parsed_choices
    asked = (
        ("kind", kind, choices.kinds),
        ("kernel", kernel, choices.kernels),
        ("image", image, choices.images),
    )
    for field, value, allowed in asked:
        if allowed is not None and value not in allowed:
            raise Invalid(
                _("The plan %(plan)s allows the %(field)s %(allowed)s, not %(value)s.")
                % {"plan": version.plan, "field": field, "allowed": " or ".join(allowed), "value": value[:64]},
                field=field,
                code="not_in_plan",
                next_step=_("Choose one of those, or another plan."),
            )

    for device in devices:
        refuse_device(why_no_device(version, device))
    for name in host_devices:
        refuse_device(why_no_device(version, name), field="host_devices")


def why_no_device(version: PlanVersion | None, device: str, *, may_give: bool = False) -> str:
    """Why an environment of this plan can't have the device; empty when it can. Without a plan only who may
    lift parts of the confinement gives one (`may_give`)."""
    if version is None:
        return "" if may_give else _("A device comes with a plan that allows it, or from an administrator.")
    choices = version.parsed_choices
    if device in choices.devices or device in choices.host_devices:
        return ""
    return _("The plan %(plan)s doesn't allow the device %(device)s.") % {
        "plan": version.plan,
        "device": device,
    }


def refuse_opening(version: PlanVersion | None, opened: Iterable[str]) -> None:
    """`Invalid` for what of the confinement the plan doesn't let a tenant lift; all of it without a plan."""
    lacking = sorted(set(opened) - set(opens(version)))
    if not lacking:
        return
    raise Invalid(
        _("The plan %(plan)s doesn't allow %(opening)s.") % {"plan": version.plan, "opening": lacking[0]}
        if version is not None
        else _("%(opening)s comes with a plan that allows it, or from an administrator.")
        % {"opening": lacking[0]},
        field=lacking[0],
        code="not_in_plan",
        next_step=_("Do without it, or choose a plan that has it."),
    )


def opens(version: PlanVersion | None) -> Collection[str]:
    """What of an environment's confinement its tenant may lift by himself."""
    return version.parsed_choices.opens if version is not None else ()


def refuse_device(why: str, field: str = "devices") -> None:
    """`Invalid` with `why` as its sentence; a no-op where that is empty."""
    if why:
        next_step = _("Do without it, or choose a plan that has it.")
        raise Invalid(why, field=field, code="not_in_plan", next_step=next_step)


def check_allowance(version: PlanVersion | None, what: str, wanted: int, *, field: str = "") -> None:
    """`Conflict` when an environment would have more of `what` (a resource) than its plan gives."""
    if version is None:
        return
    most = getattr(version.parsed_allowances, what)
    if most is not None and wanted > most:
        raise Conflict(
            _("The plan %(plan)s gives %(most)s %(what)s to an environment; this would be number %(wanted)s.")
            % {"plan": version.plan, "most": most, "what": Resource(what).label, "wanted": wanted},
            code="not_in_plan",
            field=field,
            next_step=_("Remove one first, or choose a larger plan."),
        )


def refuse_own_size(tenant: Tenant) -> None:
    """`Invalid` in a tenant whose environments have the size of a plan."""
    if tenant.must_use_plans:
        raise Invalid(
            _("Environments of this tenant have the size of a plan; choose one instead of limits."),
            field="plan",
            code="plan_needed",
        )


def newest(plan_id: UUID) -> PlanVersion | None:
    return PlanVersion.objects.select_related("plan").filter(plan_id=plan_id).order_by("-number").first()
