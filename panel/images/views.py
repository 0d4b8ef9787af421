"""Page of images: on which node each is, how far it is built, and the buttons of administrators."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from panel.errors import NotFound
from panel.images import services
from panel.images.models import Image
from panel.tenants.permissions import Permission
from panel.ui.web import PageRequest, page, signed_in


@require_safe
@signed_in
def images(request: PageRequest) -> HttpResponse:
    context = {
        "section": "image",
        "images": Image.objects.prefetch_related("on_nodes__node"),
        "may_manage": request.actor.can(Permission.IMAGE_MANAGE),
    }
    return page(request, "images/list.html", context)


@require_POST
@signed_in
def build(request: PageRequest, image_id: UUID) -> HttpResponse:
    request.actor.require(Permission.IMAGE_MANAGE)
    image = Image.objects.filter(pk=image_id).first()
    if image is None:
        raise NotFound("This image")
    services.build_image(request.actor, name=image.name)
    messages.success(request, _("Build of %(name)s asked for") % {"name": image})
    return redirect("images")


@require_POST
@signed_in
def delete(request: PageRequest, image_id: UUID) -> HttpResponse:
    image = services.delete_image(request.actor, image_id)
    messages.success(request, _("Deletion of %(name)s asked for") % {"name": image})
    return redirect("images")
