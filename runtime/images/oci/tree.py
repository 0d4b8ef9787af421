"""An image's tree as the root of an environment: what is mounted on, and what is written, is its own."""

from pathlib import Path

from runtime.host.safetree import SafeTree

#: Directories that the OCI runtime mounts on: a link there could lead a mount out of the tree.
_MOUNT_POINTS = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "etc": 0o755}


def arrange(tree: Path) -> None:
    """Raises `RuntimeFault`."""
    with SafeTree.open(tree) as safe:
        for name, mode in _MOUNT_POINTS.items():
            if not safe.is_directory(f"/{name}"):
                safe.remove(f"/{name}")
                safe.make_directory(f"/{name}", mode=mode)
