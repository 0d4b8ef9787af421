"""Pages of operations."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from panel.folding import finds
from panel.operations import control
from panel.operations.models import Operation, OperationState, SubjectType
from panel.paging import page_of_rows
from panel.rights.permissions import Permission
from panel.tenants.chosen import chosen_tenant, shows
from panel.ui.web import PageRequest, page, signed_in


@require_safe
@signed_in
def operations(request: PageRequest) -> HttpResponse:
    tenant = chosen_tenant(request, request.actor)
    rows = Operation.objects.for_actor(request.actor).defer("steps", "before", "details")
    if tenant is not None:
        rows = rows.filter(tenant__path__startswith=tenant.path)
    text, state = request.GET.get("q", "").strip()[:80], request.GET.get("state", "")
    about = request.GET.get("about", "")
    if text:
        rows = rows.filter(finds(text, "subject_name", "who_name"))
    if state:  # of an unknown one there are none
        rows = rows.filter(state=state)
    if about:
        rows = rows.filter(subject_type=about)
    context = {
        "section": "operation",
        "rows": page_of_rows(rows.order_by("-created_at"), 50, request.GET.get("page")),
        "text": text,
        "state": state,
        "states": OperationState.choices,
        "about": about,
        "subject_types": SubjectType.choices,
    }
    return page(request, "operations/list.html", context)


@require_safe
@signed_in
def operation(request: PageRequest, operation_id: UUID) -> HttpResponse:
    row = Operation.objects.select_related("tenant", "environment").get_for(request.actor, operation_id)
    shows(request, request.actor, row.tenant)
    environment = row.environment
    context = {
        "section": "operation",
        "operation": row,
        "environment": environment if environment is not None and environment.deleted_at is None else None,
        "may_control": request.actor.can(Permission.OPERATION_CONTROL, row),
        "details": [(k, _words(v)) for k, v in row.details.items() if not isinstance(v, dict)],
    }
    return page(request, "operations/one.html", context)


def _words(value: Any) -> Any:
    return ", ".join(str(one) for one in value) if isinstance(value, list) else value


@require_POST
@signed_in
def retry(request: PageRequest, operation_id: UUID) -> HttpResponse:
    newer = control.retry(request.actor, operation_id)
    return redirect("operation", newer.pk if newer else operation_id)


@require_POST
@signed_in
def cancel(request: PageRequest, operation_id: UUID) -> HttpResponse:
    newer = control.cancel(request.actor, operation_id)
    return redirect("operation", newer.pk if newer else operation_id)
