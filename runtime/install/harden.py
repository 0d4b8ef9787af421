"""`harden`: shows the host-wide settings that are weaker than they should be, then sets them."""

import os
from pathlib import Path

from runtime.install.output import Stop, line, plain
from runtime.install.sysctls import differing, path_of

FILE = Path("/etc/sysctl.d/60-wadah.conf")


def harden(*, dry_run: bool) -> int:
    """Sets and keeps them in `FILE`. Keys that this kernel lacks are named and left out. 0 when done."""
    weak = differing()
    absent = [name for name, now, _, _ in weak if now is None]
    changes = [one for one in weak if one[1] is not None]
    for name, now, wanted, why in changes:
        plain(f"   {name}: {now} → {wanted}   ({why})")
    for name in absent:
        plain(f"   {name}: this kernel has no such setting")
    if not changes:
        plain("nothing to change")
        return 0
    if dry_run:
        return 0
    if os.geteuid() != 0:
        raise Stop("`harden` needs root", "sudo ./wadah harden")
    kept = []
    for name, _, wanted, _ in changes:
        try:
            path_of(name).write_text(wanted)
            kept.append(f"{name} = {wanted}\n")
        except OSError as error:
            line(f"{name}: refused ({error.strerror})", "!")
    before = FILE.read_text().splitlines(keepends=True) if FILE.exists() else []
    names = {one.split(" = ")[0] for one in kept}
    FILE.write_text("".join([one for one in before if one.split(" = ")[0] not in names] + kept))
    line(f"{len(kept)} settings, kept in {FILE}")
    return 0
