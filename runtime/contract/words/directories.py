"""Directories, and sessions in them and in environments that are stopped."""

from runtime.contract.said import says

# what is done


@says("unpacking the node's set of programs, once")
def making_tools() -> None: ...
@says("a tree of the profile %(profile)s")
def tree_made(profile: str) -> None: ...


# what is refused


@says("there is no program %(name)s in the set that a directory's programs are copied from")
def no_such_program(name: str) -> None: ...
@says("the node's set of programs lacks %(what)s, which one of them needs")
def tools_lack(what: str) -> None: ...
@says("mmdebstrap is not installed: the programs of directories are unpacked by it")
def no_mmdebstrap() -> None: ...
@says("apt install mmdebstrap")
def install_mmdebstrap() -> None: ...
