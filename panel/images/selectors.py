"""Reads of images."""

from panel.images.models import NodeImage


def ready_names() -> set[str]:
    """Of images that some node has, and is to have."""
    rows = NodeImage.objects.filter(observed_revision__gt=0, is_wanted=True)
    return set(rows.values_list("image__name", flat=True))
