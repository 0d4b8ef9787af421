"""Builds of images: fetched, built and handed over by well-kept tools, each confined; layers kept by source."""

import shutil

PROGRAMS = ("buildah", "git", "ssh", "skopeo")


def lacking_programs() -> tuple[str, ...]:
    """Of those that builds need, what this host hasn't got."""
    return tuple(one for one in PROGRAMS if shutil.which(one, path="/usr/bin:/bin") is None)
