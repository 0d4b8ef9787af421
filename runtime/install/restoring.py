"""A mark for as long as a restore of the panel is at work: keys, database and what the node has belong together
only when it has ended. Whoever cuts it off, a power cut too, finds nothing that starts by itself, and no unit
of systemd that starts (`runtime.install.units`).
"""

from pathlib import Path

from runtime.install.files import put
from runtime.install.layout import Layout
from runtime.install.output import Stop

#: Keys and database are being exchanged; the database is in place, without what the node has besides.
PUTTING, ADOPTING = "putting", "adopting"


def mark(layout: Layout, stage: str) -> None:
    put(file_of(layout), f"{stage}\n", mode=0o600)


def stage_of(layout: Layout) -> str:
    """Empty: none is at work, and none was cut off."""
    try:
        return file_of(layout).read_text().strip()
    except FileNotFoundError:
        return ""


def clear(layout: Layout) -> None:
    file_of(layout).unlink(missing_ok=True)


def refuse(layout: Layout) -> None:
    """Raises `Stop` where one was cut off."""
    stage = stage_of(layout)
    if stage == ADOPTING:
        raise Stop(
            "a restore of the panel was cut off before what the node has besides was taken in",
            "./wadah backup panel --adopt, and then ./wadah up",
        )
    if stage:
        raise Stop(
            "a restore of the panel was cut off: keys and database may not belong together",
            f"Restore again: ./wadah backup panel --restore …; what was there is in {layout.home}/before-…",
        )


def file_of(layout: Layout) -> Path:
    return layout.etc / "restoring"
