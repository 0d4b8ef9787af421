"""The list of environments, and one action for many of them."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.environments.listing import FILTER_STATES, MOST_CHOSEN, ids_of_all, list_environments
from panel.environments.models import Environment
from panel.environments.services import POWER, Changed, delete_environment, tag_environment
from panel.errors import Invalid, NotFound, Refused
from panel.nodes.models import Node
from panel.rights.actor import Actor
from panel.tenants.chosen import chosen_tenant
from panel.tenants.models import Tenant
from panel.text import words_of
from panel.ui.web import PageRequest, back, page, sentence, signed_in

#: A sentence with more names says no more.
_NAMES_TOLD = 12
_BULK: dict[str, Callable[[Actor, UUID], Changed]] = {**POWER, "delete": delete_environment}


def _act(request: PageRequest) -> Callable[[Actor, UUID], Changed] | None:
    """What the pressed button asks for; None: there is no such action."""
    action, words = request.POST.get("action", ""), words_of(request.POST.get("tags", ""))
    if action == "tag":
        return lambda actor, pk: tag_environment(actor, pk, add=words)
    if action == "untag":
        return lambda actor, pk: tag_environment(actor, pk, remove=words)
    return _BULK.get(action)


@require_safe
@signed_in
def environments(request: PageRequest) -> HttpResponse:
    tenant = chosen_tenant(request, request.actor)
    listing = list_environments(request.actor, tenant, request.GET)
    context = {
        "section": "environment",
        "listing": listing,
        "tenant": tenant,
        "query": request.GET.urlencode(),
        "rows": listing.rows,
        "sort": listing.sort,
        "states": FILTER_STATES,
        "shows_tenant": tenant is None,
        "nodes": list(Node.objects.values_list("name", flat=True).order_by("name"))
        if request.actor.is_platform_administrator
        else [],
    }
    return page(request, "environments/list.html", context)


@require_POST
@signed_in
def bulk(request: PageRequest) -> HttpResponse:
    """The same action for many; says how many were done, and why the others weren't.

    Deleting many asks for their number, typed: as much of a pause as the name of one.
    """
    ids = _chosen(request)
    if request.POST.get("action") == "delete" and request.POST.get("typed") != str(len(ids)):
        messages.error(
            request,
            _("Nothing was deleted: type how many are to go, to say that you mean it. It is %(n)d.")
            % {"n": len(ids)},
        )
        return back(request, reverse("environments"))
    done, refusals = _to_each(request, ids, _act(request))
    if done:
        messages.success(request, _("Asked for of %(n)d: %(names)s.") % _told(done))
    for why, names in refusals.items():
        messages.error(request, _("Refused for %(n)d (%(names)s): %(why)s") % {**_told(names), "why": why})
    return back(request, reverse("environments"))


def _chosen(request: PageRequest) -> list[str]:
    """Ids of those that are ticked, or with `all` of those that the list's `query` finds now."""
    if not request.POST.get("all"):
        ids = list(dict.fromkeys(request.POST.getlist("id")))
    else:
        tenant = Tenant.objects.for_actor(request.actor).filter(slug=request.POST.get("tenant", "")).first()
        if tenant is None and request.POST.get("tenant"):
            raise NotFound(_("This tenant"))
        query = QueryDict(request.POST.get("query", "")[:2000])
        ids = [str(pk) for pk in ids_of_all(request.actor, tenant, query, MOST_CHOSEN)]
    if not ids:
        raise Invalid(_("None is chosen."))
    if len(ids) > MOST_CHOSEN:
        raise Invalid(_("At most %(most)d are changed at once.") % {"most": MOST_CHOSEN})
    return ids


def _to_each(
    request: PageRequest, ids: list[str], act: Callable[[Actor, UUID], Changed] | None
) -> tuple[list[str], dict[str, list[str]]]:
    """Names of those that it was asked for, and of those refused, by the reason. What is no id is left out."""
    done, refusals = list[str](), dict[str, list[str]]()
    for value in ids:
        try:
            if act is None:
                raise Invalid(_("There is no such action."))
            done.append(act(request.actor, UUID(value)).environment.name)
        except ValueError:
            continue
        except Refused as refusal:
            row = Environment.objects.for_actor(request.actor).filter(pk=value).first()
            refusals.setdefault(sentence(refusal), []).append(row.name if row else value)
    return done, refusals


def _told(names: list[str]) -> dict[str, object]:
    shown = ", ".join(names[:_NAMES_TOLD])
    return {"n": len(names), "names": f"{shown}, …" if len(names) > _NAMES_TOLD else shown}
