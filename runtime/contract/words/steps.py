"""Steps: their names, and what each did."""

from typing import Final

from runtime.contract.said import Said, add, says

#: English by the name that a step has on the wire, which is that of its resource.
NAMES: Final = {
    "id range": "id range",
    "root volume": "root volume",
    "namespaces": "namespaces",
    "id-mapped root": "id-mapped root",
    "guest files": "guest files",
    "limits (cgroup)": "limits (cgroup)",
    "OCI bundle": "OCI bundle",
    "container": "container",
    "monitor": "console and monitor",
    "init process": "init process",
    "network link": "network link",
    "addresses and routes": "addresses and routes",
    "firewall": "firewall",
    "network rate": "network rate",
    "start": "start of init",
    "entry": "way in",
    "start hook": "start hook",
    "stop hook": "stop hook",
    "pause": "pause",
    "resume": "resume",
    "shutdown": "shutdown",
    "image fetch": "fetch of the image",
    "backup fetch": "files from the backup",
    "backup snapshot": "snapshot of the disk",
    "backup": "backup",
    "backup path": "what is put back, from the backup",
    "put back": "into the environment",
    "backup check": "check of the repository",
    "target": "the target of backups",
    "quarantine": "the backup, apart",
    "quarantine start": "its start",
    "quarantine removal": "removal of what was made for it",
    "backup removal": "deletion of the backup",
    "children": "containers inside",
    "app image": "image",
    "app files": "files in /etc",
    "app secrets": "secrets",
    "layers": "layers of the image",
    "image layer": "packing of its disk",
    "build": "build",
    "build removal": "removal of what builds left",
    "image push": "into the registry",
    "app tree": "unpacking",
    "image tree": "build of its tree",
    "image check": "check of its tree",
    "image in the pool": "image in the pool",
    "tenant limits": "limits of the tenant",
    "tenant environments": "its environments",
    "volumes": "volumes",
    "devices": "devices",
    "volume": "volume",
    "volume removal": "deletion of the volume",
    "volume snapshot": "snapshot of the volume",
    "volume snapshot removal": "deletion of the volume's snapshot",
    "volume restore": "the volume as it was",
    "volume fetch": "files of the volume's backup",
    "undo": "taking back",
}
for _name, _template in NAMES.items():
    add(f"steps:{_name}", _template)


def named(name: str) -> Said:
    """A step's name as a value of another sentence; one that has no words is shown as it is."""
    return Said(NAMES[name], f"steps:{name}") if name in NAMES else Said(name)


@says("%(parts)s")
def several(parts: tuple[Said, ...]) -> None: ...


@says("made")
def made() -> None: ...
@says("changed")
def changed() -> None: ...
@says("set")
def set_() -> None: ...
@says("killed")
def killed() -> None: ...
@says("forced")
def forced() -> None: ...
@says("shut down")
def shut_down() -> None: ...
@says("snapshot of %(image)s")
def snapshot(image: str) -> None: ...
@says("from a snapshot")
def from_a_snapshot() -> None: ...
@says("snapshot made")
def snapshot_made() -> None: ...
@says("%(count)s snapshots made")
def snapshots_made(count: int) -> None: ...
@says("%(count)s snapshots deleted")
def snapshots_deleted(count: int) -> None: ...
@says("the old root is back")
def old_root_is_back() -> None: ...
@says("the old root is deleted")
def old_root_is_deleted() -> None: ...
@says("the old tree is under /old")
def old_tree_is_kept() -> None: ...
@says("%(count)s subvolumes")
def subvolumes(count: int) -> None: ...
@says("%(count)s user ids")
def user_ids(count: int) -> None: ...
@says("user ids of its own")
def own_user_ids() -> None: ...
@says("rescue system, the disk at %(place)s")
def rescue_system(place: str) -> None: ...
@says("cgroup v%(version)s")
def control_group(version: int) -> None: ...
@says("guard, NAT, forwards")
def guarded() -> None: ...
@says("%(addresses)s")
def addresses(addresses: tuple[str, ...]) -> None: ...


# of the files inside


@says("host name")
def host_name() -> None: ...
@says("resolvers")
def resolvers() -> None: ...
@says("SSH host keys")
def ssh_host_keys() -> None: ...
@says("%(count)s SSH keys")
def ssh_keys(count: int) -> None: ...
@says("%(count)s secrets")
def secrets(count: int) -> None: ...
@says("root password")
def root_password() -> None: ...
