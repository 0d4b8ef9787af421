"""Backups and the targets that they are kept at."""

from collections.abc import Callable
from typing import Final

from runtime.contract.said import Said, says

# how far


@says("%(mib)s MiB read")
def reading(mib: int) -> None: ...
@says("%(mib)s MiB in %(files)s files; the target grew by %(added)s MiB")
def backed_up(mib: int, files: int, added: int) -> None: ...
@says("%(mib)s MiB brought back")
def brought_back(mib: int) -> None: ...
@says("from a backup")
def from_a_backup() -> None: ...
@says("making room at the target")
def making_room() -> None: ...


# what is refused


@says("this node has no %(program)s, which backups need")
def lacks(program: str) -> None: ...
@says("what opens the repository isn't meant for this node, or was changed on its way")
def not_opened() -> None: ...
@says("the node %(node)s gives no directory for backups")
def no_directory_given(node: str) -> None: ...
@says("the target's directory can't be written: %(why)s")
def target_not_written(why: str) -> None: ...
@says("there is nothing to back up: the environment has no disk on this node")
def no_disk() -> None: ...
@says("the backup is not on the node (any more)")
def backup_not_there() -> None: ...
@says("the disk of %(mib)s MiB is too small for what is in the backup")
def disk_too_small(mib: int) -> None: ...
@says("some files could not be read, so the backup isn't whole: %(why)s")
def files_not_read(why: str) -> None: ...
@says("the tool of the backups refused: %(why)s")
def tool_refused(why: str) -> None: ...


# what `runtime.backups.inside` finds, told by these names out of its container


@says("the password opens nothing in this repository")
def wrong_password() -> None: ...
@says("the repository is locked by another backup, or another panel")
def repository_locked() -> None: ...
@says("the target is full")
def target_full() -> None: ...
@says("the repository isn't at its target any more")
def no_repository() -> None: ...
@says("another repository lies at the target than the one that the backups went to")
def other_repository() -> None: ...
@says("the backup is not in the repository any more")
def no_such_backup() -> None: ...
@says("the repository is damaged: what it holds isn't what was written to it")
def repository_damaged() -> None: ...
@says("the target has said nothing for an hour")
def target_silent() -> None: ...


FOUND: Final[dict[str, Callable[[], Said]]] = {
    one.__name__: one
    for one in (
        wrong_password,
        repository_locked,
        target_full,
        no_repository,
        other_repository,
        no_such_backup,
        repository_damaged,
        target_silent,
    )
}


@says("the target is gone")
def target_gone() -> None: ...


# next steps


@says("An administrator names one: backup_directory in the node's settings.")
def give_a_directory() -> None: ...
@says("An administrator installs it: apt install restic.")
def install_it() -> None: ...
@says("Look at the target, then try again.")
def look_at_it() -> None: ...
@says("Delete backups, or have the target made larger.")
def make_room_there() -> None: ...
@says("Make the target anew with the password that its repository has.")
def give_the_right_password() -> None: ...
@says("Try again when the other one is through.")
def wait_for_the_other() -> None: ...
@says("Choose another backup.")
def choose_another() -> None: ...
@says("Choose a larger disk.")
def choose_a_larger_disk() -> None: ...
