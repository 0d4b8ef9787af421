"""Images: having them built on nodes, and deleted. What nodes say of that: `jobs`."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from panel import events, words
from panel.audit.services import record
from panel.errors import Conflict, Invalid, NotFound
from panel.images import archives
from panel.images.archives import Staged
from panel.images.models import Image, NodeImage
from panel.jobs.services import Wanted, ask, drop
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.text import line
from runtime.contract import ArchiveFile, BuildImage, DeleteImage, ImageSource, ImageSpec, NodeReport
from runtime.contract import Subject as About
from runtime.contract import SubjectType as ContractSubject
from runtime.contract.said import NOTHING

#: Debian's from a slow mirror on a slow machine takes half an hour.
BUILD_WITHIN_S = 2 * 3600.0

#: What a fresh installation offers: name, title, description.
CATALOGUE = (
    ("busybox", "BusyBox", gettext_noop("A very small system for tests and tools. Starts in milliseconds.")),
    ("debian-12", "Debian 12", gettext_noop("Bookworm with systemd, sshd and the usual tools.")),
    ("debian-13", "Debian 13", gettext_noop("Trixie with systemd, sshd and the usual tools.")),
)


def ensure_catalogue() -> None:
    """The rows of the images that Wadah knows how to build; built only when asked for."""
    for name, title, description in CATALOGUE:
        Image.objects.get_or_create(
            name=name, defaults={"title": title, "description": description, "source": name}
        )


def build_image(actor: Actor, *, name: str, source: str = "", node: Node | None = None) -> Image:
    """Have it built (again, when it is there) on one node, or on all. `source`: empty means by its name."""
    actor.require(Permission.IMAGE_MANAGE)
    if source and source not in set(ImageSource):
        raise Invalid(
            _("The source is one of %(imagesource)s.") % {"imagesource": ", ".join(ImageSource)}, field="source"
        )
    with transaction.atomic():
        image = Image.objects.select_for_update().filter(name=name).first()
        if image is None:
            image = _new_image(name, source or name)
        elif source and source != image.source:
            raise Conflict(
                _("The image %(name)s comes from %(source)s; another source needs another name.")
                % {"name": name, "source": image.source},
                field="source",
            )
        nodes = [node] if node is not None else list(Node.objects.exclude(state="disabled"))
        if not nodes:
            raise Conflict(_("No node has joined this installation yet."), code="no_node")
        for each in nodes:
            _ask(actor, image, each)
        record(actor, "image.build", target=image, after={"nodes": [n.name for n in nodes]})
    return image


def check_import(actor: Actor, *, name: str) -> Image | None:
    """Asked before an archive is read: whether this actor may import under this name. The image of the name,
    when there is one."""
    actor.require(Permission.IMAGE_MANAGE)
    _check_name(name)
    image = Image.objects.filter(name=name).first()
    if image is not None and image.source != ImageSource.ARCHIVE:
        raise Conflict(
            _("The image %(name)s comes from %(source)s; an archive needs another name.")
            % {"name": name, "source": image.source},
            field="name",
        )
    if name in set(ImageSource):
        raise Conflict(
            _("%(name)s is the name of an image that is built; choose another.") % {"name": name}, field="name"
        )
    return image


def import_image(actor: Actor, *, name: str, title: str = "", staged: Staged) -> Image:
    """An image of an archive that was taken in, on all nodes; an earlier archive of the name is replaced.

    When it is refused, the archive is thrown away.
    """
    try:
        with transaction.atomic():
            Image.objects.select_for_update().filter(name=name).first()
            image = check_import(actor, name=name) or Image(name=name, source=ImageSource.ARCHIVE)
            before, image.archive_id = image.archive_id, staged.id
            image.archive_sha256, image.archive_bytes = staged.sha256, staged.bytes
            image.title = line(title, field="title", most=120, least=0) or image.title
            image.save()
            nodes = list(Node.objects.exclude(state="disabled"))
            if not nodes:
                raise Conflict(_("No node has joined this installation yet."), code="no_node")
            for each in nodes:
                _ask(actor, image, each)
            record(
                actor,
                "image.import",
                target=image,
                after={"sha256": staged.sha256, "bytes": staged.bytes, "nodes": [n.name for n in nodes]},
            )
            transaction.on_commit(lambda: archives.discard(before))
    except BaseException:
        archives.discard(staged.id)
        raise
    return image


def wanted_archives() -> Iterable[UUID]:
    """That images are made from."""
    return (row.archive_id for row in Image.objects.exclude(archive_id=None) if row.archive_id)


def _check_name(name: str) -> None:
    try:
        ImageSpec(node="any", name=name, source=ImageSource.ARCHIVE)
    except ValueError as error:
        raise Invalid(
            _("An image's name has 1 to 64 lower-case letters, digits, dots, hyphens and underscores."),
            field="name",
        ) from error


def _new_image(name: str, source: str) -> Image:
    image = Image(name=name, source=source)
    if source not in set(ImageSource):
        raise Invalid(
            _("Say the source: one of %(imagesource)s.") % {"imagesource": ", ".join(ImageSource)},
            field="source",
        )
    _check_name(name)
    image.save(force_insert=True)
    return image


def _ask(actor: Actor, image: Image, node: Node, *, retry_of: Operation | None = None) -> NodeImage:
    """Has it built on the node (again); what is under way there is dropped for that."""
    row, is_new = NodeImage.objects.select_for_update().get_or_create(image=image, node=node)
    if not is_new:
        row.revision += 1
    row.is_wanted = True
    _open(actor, row, OperationKind.BUILD, retry_of)
    return row


def _unask(actor: Actor, row: NodeImage, *, retry_of: Operation | None = None) -> None:
    """Has it gone from its node."""
    row.is_wanted = False
    _open(actor, row, OperationKind.DELETE, retry_of)


def _open(actor: Actor, row: NodeImage, kind: OperationKind, retry_of: Operation | None) -> None:
    if row.operation_id is not None:
        drop(row.operation_id)
    row.code, row.message, row.next_step = "", NOTHING, NOTHING
    spec = spec_of(row)
    wanted = Wanted(
        row.node,
        BuildImage(image=spec) if row.is_wanted else DeleteImage(image=spec),
        About(type=ContractSubject.IMAGE, id=row.image.name),
        BUILD_WITHIN_S,
    )
    subject = Subject(SubjectType.IMAGE, str(row.image_id), row.image.name, tenant_id=None)
    row.operation = ask(actor, subject, kind, wanted, retry_of=retry_of)
    row.save()
    events.publish_to_all("image", row.image_id)


def spec_of(row: NodeImage) -> ImageSpec:
    return ImageSpec(
        node=row.node.name,
        name=row.image.name,
        source=ImageSource(row.image.source),
        wanted=row.is_wanted,
        revision=row.revision,
        archive=_archive_of(row.image),
    )


def _archive_of(image: Image) -> ArchiveFile | None:
    if image.archive_id is None or image.source != ImageSource.ARCHIVE:
        return None
    return ArchiveFile(id=image.archive_id, sha256=image.archive_sha256, bytes=image.archive_bytes)


def forget(image: Image) -> None:
    """The row, and the archive that it was made from."""
    gone = image.archive_id
    image.delete()
    transaction.on_commit(lambda: archives.discard(gone))


def delete_image(actor: Actor, image_id: UUID) -> Image:
    """Have it gone from every node. Environments made from it go on: they hold their own snapshot."""
    actor.require(Permission.IMAGE_MANAGE)
    with transaction.atomic():
        image = Image.objects.select_for_update().filter(pk=image_id).first()
        if image is None:
            raise NotFound(_("This image"))
        rows = NodeImage.objects.select_for_update(of=("self",)).filter(image=image)
        there = list(rows.select_related("node", "image"))
        for row in there:
            _unask(actor, row)
        record(actor, "image.delete", target=image)
        events.publish_to_all("image", image.pk)
        if not there:
            forget(image)
    return image


def ask_again(actor: Actor, failed: Operation) -> Operation:
    """The same of the same image, on the same node, once more. Raises `Conflict` when it is gone."""
    actor.require(Permission.IMAGE_MANAGE)
    with transaction.atomic():
        node = Node.objects.filter(name=failed.details.get("node")).first()
        image = Image.objects.select_for_update().filter(pk=failed.subject_id).first()
        if image is None or node is None:
            raise Conflict(_("This image, or its node, is gone."), code="gone")
        if failed.kind == OperationKind.BUILD:
            row = _ask(actor, image, node, retry_of=failed)
        else:
            found = NodeImage.objects.select_for_update(of=("self",)).filter(image=image, node=node)
            row = found.select_related("node", "image").get()
            _unask(actor, row, retry_of=failed)
        record(actor, f"image.{failed.kind}", target=image, after={"nodes": [node.name]})
    assert row.operation is not None
    return row.operation


def take_in(node: Node, report: NodeReport) -> None:
    note_ready_images(node, report.facts.images)


def note_ready_images(node: Node, names: Iterable[str]) -> None:
    """What the node's facts list is ready there, also when it was made without the panel."""
    rows = NodeImage.objects.filter(node=node).select_related("image", "operation")
    have = {row.image.name: row for row in rows}
    for name in names:
        row = have.pop(name, None)
        if row is None:
            row = _adopt(node, name)
            if row is None:
                continue
        if row.observed_revision == 0 and row.is_wanted:
            row.observed_revision = max(row.revision, 1)
            row.code, row.message, row.next_step = "", NOTHING, NOTHING
            row.observed_at = timezone.now()
            _note(row)
    for row in have.values():
        if row.observed_revision:
            row.observed_revision = 0
            row.code, row.message, row.next_step = "image_missing", words.image_gone(), NOTHING
            _note(row)


def _note(row: NodeImage) -> None:
    row.save(update_fields=["observed_revision", "code", "message", "next_step", "observed_at"])
    events.publish_to_all("image", row.image_id, state=row.state)


def _adopt(node: Node, name: str) -> NodeImage | None:
    """A row for an image that the node has and the panel didn't ask for; None when its name can't be."""
    image = Image.objects.filter(name=name).first()
    if image is None:
        source = name if name in set(ImageSource) else ImageSource.ARCHIVE
        try:
            image = _new_image(name, source)
        except Invalid:
            return None
    return NodeImage.objects.create(image=image, node=node)
