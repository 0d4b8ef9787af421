"""Reads of images."""

from panel.images.models import Image, NodeImage
from runtime.contract import ImageSource


def ready_names() -> set[str]:
    """Of images that some node has, and is to have."""
    rows = NodeImage.objects.filter(observed_revision__gt=0, is_wanted=True)
    return set(rows.values_list("image__name", flat=True))


def boots_systemd(name: str) -> bool:
    """Whether it is known of an image that its init is systemd; what was handed in, its node looks into."""
    return Image.objects.filter(name=name, source__in=(ImageSource.DEBIAN_12, ImageSource.DEBIAN_13)).exists()
