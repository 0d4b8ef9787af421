"""Page of images: on which node each is, how far it is built, and the buttons of administrators."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from panel.errors import Invalid, NotFound, Refused
from panel.images import services
from panel.images.forms import ImportForm
from panel.images.models import Image
from panel.images.uploads import StagedUpload, StagingHandler
from panel.rights.permissions import Permission
from panel.ui.web import PageRequest, page, sentence, signed_in


@require_safe
@signed_in
def images(request: PageRequest) -> HttpResponse:
    context = {
        "section": "image",
        "images": Image.objects.prefetch_related("on_nodes__node", "on_nodes__operation"),
        "may_manage": request.actor.can(Permission.IMAGE_MANAGE),
    }
    return page(request, "images/list.html", context)


@require_POST
@signed_in
def build(request: PageRequest, image_id: UUID) -> HttpResponse:
    request.actor.require(Permission.IMAGE_MANAGE)
    image = Image.objects.filter(pk=image_id).first()
    if image is None:
        raise NotFound(_("This image"))
    services.build_image(request.actor, name=image.name)
    messages.success(request, _("Build of %(name)s asked for") % {"name": image})
    return redirect("images")


@csrf_exempt  # not unprotected: `_import` below is, once the handler is in its place
@signed_in
def import_(request: PageRequest) -> HttpResponse:
    """Form for an archive. Who may not is refused before anything of a body is read."""
    request.actor.require(Permission.IMAGE_MANAGE)
    handler = StagingHandler(request)
    request.upload_handlers = [handler]
    try:
        return _import(request)
    finally:
        handler.close()


@csrf_protect
def _import(request: PageRequest) -> HttpResponse:
    form = ImportForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            return _imported(request, form)
        except Refused as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, sentence(refusal))
    context = {"section": "image", "form": form, "most_mb": settings.WADAH.archive_max_mb}
    return page(request, "images/import.html", context, status=422 if form.errors else 200)


def _imported(request: PageRequest, form: ImportForm) -> HttpResponse:
    name = form.cleaned_data["name"]
    services.check_import(request.actor, name=name)
    upload = request.FILES.get("archive")
    if not isinstance(upload, StagedUpload):
        raise Invalid(_("Choose a file: a tar archive of a root file system."), field="archive")
    title = form.cleaned_data["title"]
    services.import_image(request.actor, name=name, title=title, staged=upload.take())
    messages.success(request, _("Import of %(name)s asked for") % {"name": name})
    return redirect("images")


@require_POST
@signed_in
def delete(request: PageRequest, image_id: UUID) -> HttpResponse:
    image = services.delete_image(request.actor, image_id)
    messages.success(request, _("Deletion of %(name)s asked for") % {"name": image})
    return redirect("images")
