"""The page of pools of processors, for administrators of the installation."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from panel.fleet import cpu_pools
from panel.fleet.held_rows import PLAIN, OfNodeForm
from panel.nodes.models import Node
from panel.rights.permissions import Permission
from panel.ui.web import PageRequest, page, signed_in, tried


class PoolForm(OfNodeForm):
    processors = forms.CharField(
        label=gettext_lazy("Processors"),
        max_length=4096,
        help_text=gettext_lazy("By number: 2-3,6. One at least stays for those that are in no pool."),
        widget=forms.TextInput(attrs=PLAIN),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def pools(request: PageRequest) -> HttpResponse:
    request.actor.require(Permission.NODE_VIEW)
    form, status = PoolForm(request.POST if request.method == "POST" else None), 200
    form.offer(list(Node.objects.order_by("name")))
    if form.is_bound:
        made, status = tried(
            form, lambda sent: cpu_pools.add_pool(request.actor, UUID(sent.pop("node")), **sent)
        )
        if made is not None:
            messages.success(request, _("The pool %(name)s is made") % {"name": made.name})
            return redirect("cpu-pools")
    context = {
        "section": "cpu-pool",
        "pools": [{"row": row, "pool": cpu_pools.show(row)} for row in cpu_pools.rows_of(request.actor)],
        "form": form,
    }
    return page(request, "nodes/cpu_pools.html", context, status)


@require_POST
@signed_in
def remove(request: PageRequest, pool_id: UUID) -> HttpResponse:
    cpu_pools.delete_pool(request.actor, pool_id)
    messages.success(request, _("The pool is gone"))
    return redirect("cpu-pools")
