"""What a program needs to run, read from its file and never by running it.

`ldd` starts the program's own loader, and with it what the program says: here only the file is looked at.
"""

from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment


@dataclass(frozen=True)
class Needs:
    """Of an ELF file."""

    loader: str = ""
    """PT_INTERP; empty of a static program, and of a library."""
    libraries: tuple[str, ...] = ()
    """DT_NEEDED, as names."""
    searched: tuple[str, ...] = ()
    """DT_RUNPATH or DT_RPATH: where they are looked for first. `$ORIGIN` is the file's own directory."""


def needs_of(file: Path) -> Needs | None:
    """None of what is no ELF file."""
    with file.open("rb") as stream:
        try:
            elf = ELFFile(stream)
            loader = next(
                (one.get_interp_name() for one in elf.iter_segments() if isinstance(one, InterpSegment)), ""
            )
            dynamic = next((one for one in elf.iter_sections() if isinstance(one, DynamicSection)), None)
            tags = [] if dynamic is None else list(dynamic.iter_tags())
        except (ELFError, UnicodeDecodeError):
            return None
    paths = _texts(tags, "runpath") or _texts(tags, "rpath")
    return Needs(
        loader, _texts(tags, "needed"), tuple(part for one in paths for part in one.split(":") if part)
    )


def _texts(tags: list[DynamicTag], name: str) -> tuple[str, ...]:
    """A tag has an attribute of its own name, and no other."""
    return tuple(getattr(one, name) for one in tags if one.entry.d_tag == f"DT_{name.upper()}")
