"""Pages of volumes: all that a reader sees, and those of one environment."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from panel.environments.models import Environment
from panel.environments.views.one import context_of, get
from panel.errors import NotFound
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationKind, OperationState, SubjectType
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import tenants_with
from panel.ui.web import PageRequest, page, signed_in, tried
from panel.volumes import attaching, services
from panel.volumes.forms import AttachForm, SizeForm, VolumeForm
from panel.volumes.models import Attachment, Volume

#: In the field of a form, and on one page.
_MOST_SHOWN = 500


def _rows(actor: Actor, sized: UUID | None = None, form: SizeForm | None = None) -> list[dict[str, Any]]:
    """`form`: a refused one, of the volume `sized`."""
    known = Volume.objects.for_actor(actor).select_related("tenant", "node")
    rows = known.prefetch_related("attachments__environment__tenant")[:_MOST_SHOWN]
    return [
        {
            "row": row,
            "attachments": list(row.attachments.all()),
            "form": form if form is not None and row.pk == sized else _size_form(row),
            "is_open": row.pk == sized,
            "may": actor.can(Permission.VOLUME_MANAGE, row.tenant),
        }
        for row in rows
    ]


def _size_form(row: Volume, sent: QueryDict | None = None) -> SizeForm:
    """Each row has one: their fields have ids of their own."""
    return SizeForm(sent, initial={"size_mb": row.size_mb}, auto_id=f"id_{row.pk}_%s")


def _all(
    request: PageRequest,
    *,
    form: VolumeForm | None = None,
    sized: UUID | None = None,
    size: SizeForm | None = None,
    status: int = 200,
) -> HttpResponse:
    tenants = tenants_with(request.actor, Permission.VOLUME_MANAGE)
    context = {
        "section": "volume",
        "volumes": _rows(request.actor, sized, size),
        "form": form or VolumeForm(tenants=tenants, nodes=_nodes()),
        "may_add": bool(tenants),
        "failed": _last_failed(request.actor),
    }
    return page(request, "volumes/list.html", context, status)


def _last_failed(actor: Actor) -> Operation | None:
    """The newest work on a volume, where it came to nothing: one that could not be made has no row."""
    newest = Operation.objects.for_actor(actor).filter(subject_type=SubjectType.VOLUME).first()
    return newest if newest is not None and newest.state == OperationState.FAILED else None


def _last_refused(row: Environment) -> Operation | None:
    newest = Operation.objects.filter(environment=row, kind=OperationKind.VOLUMES).exclude(
        details__has_key="undoes"
    )
    found = newest.order_by("-created_at").first()
    return found if found is not None and found.state == OperationState.FAILED else None


def _nodes() -> list[Node]:
    return list(Node.objects.order_by("name"))


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def everywhere(request: PageRequest) -> HttpResponse:
    if request.method != "POST":
        return _all(request)
    tenants = tenants_with(request.actor, Permission.VOLUME_MANAGE)
    form = VolumeForm(request.POST, tenants=tenants, nodes=_nodes())

    def create(sent: dict[str, Any]) -> Volume:
        chosen = sent.pop("tenant")
        tenant = next(one for one in tenants if str(one.pk) == chosen)
        return services.create_volume(request.actor, tenant, **sent)[0]

    row, status = tried(form, create)
    if row is None:
        return _all(request, form=form, status=status)
    messages.success(request, _("%(name)s is being made") % {"name": row})
    return redirect("volumes")


@require_POST
@signed_in
def resize(request: PageRequest, volume_id: UUID) -> HttpResponse:
    row = _seen(request.actor, volume_id)
    form = _size_form(row, request.POST)
    changed, status = tried(form, lambda sent: services.change_volume(request.actor, volume_id, **sent))
    if changed is None:
        return _all(request, sized=volume_id, size=form, status=status)
    _row, operation = changed
    messages.success(request, _("Being resized") if operation else _("It has that size"))
    return redirect("volumes")


@require_POST
@signed_in
def delete(request: PageRequest, volume_id: UUID) -> HttpResponse:
    services.delete_volume(request.actor, volume_id)
    messages.success(request, _("The volume is being deleted"))
    return redirect("volumes")


def _tab(
    request: PageRequest, row: Environment, *, form: AttachForm | None = None, status: int = 200
) -> HttpResponse:
    may_change = request.actor.can(Permission.ENVIRONMENT_CHANGE, row)
    may = may_change and request.actor.can(Permission.VOLUME_MANAGE, row.tenant)
    may_attach = may and request.actor.can(Permission.ENVIRONMENT_EXEC, row)
    usable = list(_usable(request.actor, row)) if may_attach else []
    context = context_of(request, row, "volumes")
    context |= {
        "attachments": list(Attachment.objects.filter(environment=row).select_related("volume")),
        "usable": usable,
        "form": form or AttachForm(volumes=usable),
        "may_attach": may_attach,
        "may_detach": may,
        "failed": _last_refused(row),
    }
    return page(request, "volumes/tab.html", context, status)


def _usable(actor: Actor, row: Environment) -> QuerySet[Volume]:
    """Of its tenant and node, and not its own already."""
    rows = Volume.objects.for_actor(actor).filter(
        tenant=row.tenant, node=row.node, is_going=False, is_restoring=False
    )
    return rows.exclude(attachments__environment=row).exclude(made_at=None)[:_MOST_SHOWN]


@require_safe
@signed_in
def of_environment(request: PageRequest, environment_id: UUID) -> HttpResponse:
    return _tab(request, get(request, environment_id))


@require_POST
@signed_in
def attach(request: PageRequest, environment_id: UUID) -> HttpResponse:
    row = get(request, environment_id)
    request.actor.require(Permission.ENVIRONMENT_CHANGE, row)
    form = AttachForm(request.POST, volumes=list(_usable(request.actor, row)))
    made, status = tried(
        form, lambda sent: attaching.attach(request.actor, UUID(sent.pop("volume")), row.pk, **sent)
    )
    if made is None:
        return _tab(request, row, form=form, status=status)
    messages.success(request, _("Being attached at %(path)s") % {"path": made[0].path})
    return redirect("environment-volumes", row.pk)


@require_POST
@signed_in
def detach(request: PageRequest, environment_id: UUID, volume_id: UUID) -> HttpResponse:
    attaching.detach(request.actor, volume_id, environment_id)
    messages.success(request, _("Being detached"))
    return redirect("environment-volumes", environment_id)


def _seen(actor: Actor, volume_id: UUID) -> Volume:
    row = Volume.objects.for_actor(actor).filter(pk=volume_id).first()
    if row is None:
        raise NotFound(_("This volume"))
    return row
