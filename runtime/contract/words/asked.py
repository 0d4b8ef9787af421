"""What is wrong with what somebody asked for, as the contract's own checks find it. Each says what is taken."""

from runtime.contract.said import says


@says("a path names no directory above it")
def path_goes_up() -> None: ...


@says("an endpoint is https://host, with a port or without")
def odd_endpoint() -> None: ...


@says("without TLS only where an administrator lets it lie inward")
def plain_endpoint() -> None: ...


@says("the place is of another kind")
def other_place() -> None: ...


@says("mount.tmpfs, mount.proc and mount.fuse open nothing without mount")
def mount_is_shut() -> None: ...


@says("a device is known by its path, or by what udev says of it")
def device_is_known() -> None: ...


@says("path: no .. in it")
def device_path_goes_up() -> None: ...


@says("inside: %(path)s is something else in every environment")
def taken_inside(path: str) -> None: ...


@says("devices: a name once, and a place inside once")
def devices_once() -> None: ...


@says("path: as /mnt/data, of letters, digits and . _ + @ -, without a slash at its end")
def odd_mount_path() -> None: ...


@says("path: not below %(places)s, which are the system's own")
def mount_path_is_taken(places: tuple[str, ...]) -> None: ...


@says(
    "%(name)s is no capability that anybody is given here: it reaches beyond an environment, or there is none"
    " of that name"
)
def no_capability(name: str) -> None: ...


@says("an ulimit is a number, or two as in 1024:4096; -1 is as much as may be had")
def odd_ulimit() -> None: ...


@says("of an ulimit the soft one is no higher than the hard one")
def soft_over_hard() -> None: ...


@says("the ulimit %(name)s is the same for everybody; one can set %(known)s")
def ulimit_of_all(name: str, known: tuple[str, ...]) -> None: ...


@says("there is no ulimit %(name)s; one can set %(known)s")
def no_ulimit(name: str, known: tuple[str, ...]) -> None: ...


@says("nofile is %(least)s at least")
def too_few_files(least: int) -> None: ...


@says("%(name)s isn't an app's own to set; one can set %(known)s")
def sysctl_of_all(name: str, known: tuple[str, ...]) -> None: ...


@says("%(name)s is a number, or several between spaces")
def odd_sysctl(name: str) -> None: ...


@says("the name of a label has 128 characters at most, no spaces and no =")
def odd_label() -> None: ...


@says("all labels together have 16 KiB at most")
def labels_too_long() -> None: ...


@says("a tmpfs has a plain path, which isn't below /proc, /sys or /dev")
def odd_tmpfs() -> None: ...


@says(
    "a tmpfs has the options size, nr_inodes, mode, uid, gid, ro, rw, exec and noexec, as in"
    " /path:size=64m,mode=755"
)
def odd_tmpfs_option() -> None: ...


@says("it isn't of this form")
def odd_form() -> None: ...


@says("an image is named HOST/NAME:TAG or HOST/NAME@sha256:…")
def odd_image() -> None: ...


@says("a digest is sha256: and 64 hexadecimal digits")
def odd_digest() -> None: ...


@says("the host of the registry is a name or an address, with a port or without")
def odd_registry() -> None: ...


@says("the name of the image has lower-case letters, digits, and . _ - / between them")
def odd_repository() -> None: ...


@says("a tag has letters, digits and . _ -, 128 at most")
def odd_tag() -> None: ...


@says("an address of a host is written 10.0.0.5 or fd00::5")
def odd_address() -> None: ...


@says("the name of a variable has no spaces and no =")
def odd_variable() -> None: ...


@says("all variables together have 128 KiB at most")
def variables_too_long() -> None: ...


@says("a file has a plain path, like /etc/app.conf")
def odd_file() -> None: ...


@says("%(path)s is the node's to write")
def file_of_node(path: str) -> None: ...


@says("all files together have 128 KiB at most")
def files_too_long() -> None: ...


@says("words and variables together have 4096 parts and 1 MiB at most")
def words_too_long() -> None: ...


@says("a duration is a number of seconds, or is written 30s or 1m30s")
def odd_duration() -> None: ...


@says("http is 8080/path, or {port, path}")
def odd_http() -> None: ...


@says("one of command, http, tcp and disable")
def asks_once() -> None: ...


@says(
    "an address for logs is written syslog+udp://HOST:PORT, syslog+tcp://…, syslog+tls://…, loki+http://HOST:PORT"
    " or loki+https://…, without a password"
)
def odd_log_address() -> None: ...


@says("a port is 1 to 65535")
def odd_port() -> None: ...


@says("an address for syslog has no path")
def syslog_has_no_path() -> None: ...
