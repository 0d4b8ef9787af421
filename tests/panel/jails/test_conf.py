"""jail.conf(5) is read as jail(8) reads it, and what it asks for is honoured or named by line."""

import pytest

from panel.jails.conf import BadConf, read
from panel.jails.meaning import understood

_FILE = """# defaults
$base = "/usr/jails";
exec.start = "/bin/sh /etc/rc";   // as the handbook has it
exec.stop = "/bin/sh /etc/rc.shutdown jail";
exec.clean;
mount.devfs;
path = "$base/$name";
* { host.hostname = "${name}.example.org"; }
db-* { allow.sysvipc; }
web {
    ip4.addr = 10.0.0.1, 10.0.0.2;
    ip4.addr += 10.0.0.3;
    allow.raw_sockets; allow.nosysvipc;
    depend = "db-1";
    exec.poststart = 'echo $name';
}
db-1 { stop.timeout = 20; children.max = 2; } /* the
end */
"""


def values(text: str, jail: str) -> dict[str, tuple[str, ...]]:
    return {one.name: one.values for one in next(one for one in read(text) if one.name == jail).parameters}


def test_defaults_patterns_variables_and_additions() -> None:
    assert [(one.name, one.line) for one in read(_FILE)] == [("web", 10), ("db-1", 17)]
    web = values(_FILE, "web")
    assert web["path"] == ("/usr/jails/web",)
    assert web["host.hostname"] == ("web.example.org",)
    assert web["ip4.addr"] == ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert web["exec.poststart"] == ("echo $name",), "in single quotes nothing is a variable"
    assert "allow.sysvipc" not in web and "allow.sysvipc" in values(_FILE, "db-1")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('a { path = "x; }', 1, "quotation mark"),
        ("a {\n path = x\n}", 2, "semicolon"),
        ("a {\n path = ;\n}", 2, "missing"),
        ("\na {\n vnet;", 2, "braces"),
        ("}", 1, "open"),
        ("a { b { } }", 1, "another one's braces"),
        ('\n.include "/etc/more.conf";', 2, "another file"),
        ("a { path = $none; }", 1, "isn't set"),
        ('$x = "$y"; $y = "$x"; a { path = $x; }', 1, "of itself"),
        ("/* never ends", 1, "comment"),
        ("a { path = ${x; }", 1, "variable's name"),
        ("= x;", 1, "name is expected"),
        ("", 1, "no jail"),
        ("a.b { }", 1, "children.max"),
        ("Web_1 { }", 1, "lower-case"),
        ("a { depend = b; }", 1, "doesn't have"),
        ("a { depend = b; }\nb { depend = a; }", 1, "itself"),
    ],
)
def test_what_can_not_be_read_is_told_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(BadConf) as bad:
        understood(text)
    assert bad.value.line == line
    assert said in bad.value.text


def test_variables_of_variables_take_no_time_and_no_room() -> None:
    many = "".join(f'$a{n} = "$a{n + 1}$a{n + 1}";' for n in range(45)) + '$a45 = "";'
    assert values(many + "j { path = $a0; }", "j")["path"] == ("",)
    with pytest.raises(BadConf, match="letters"):
        read(many.replace('$a45 = ""', '$a45 = "xx"') + "j { path = $a0; }")


def test_each_parameter_is_honoured_so_anyway_or_named() -> None:
    web, db = understood(_FILE)
    assert web.values == {
        "name": "web",
        "ipv4": 3,
        "jail": {"allow": ["raw_sockets"]},
    }
    assert [(one.line, one.parameter) for one in web.left_out] == [(15, "exec.poststart")]
    assert "exec.clean" in {one.parameter for one in web.notes}
    assert db.values == {
        "name": "db-1",
        "stop_timeout_s": 20,
        "jail": {"allow": ["sysvipc"], "children_max": 2},
        "boot": {"order": 1},
    }, "who others depend on boots first"


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("allow.chflags;", "host's own root"),
        ("allow.mount.zfs;", "no ZFS"),
        ("allow.everything;", "no jail here"),
        ("allow.mount.tmpfs;", "without allow.mount"),
        ("allow.raw_sockets = maybe;", "true or false"),
        ("exec.prestart = '/bin/true';", "on the host"),
        ("exec.stop = 'halt';", "first process"),
        ("mount.fstab = /etc/fstab.x;", "attach a volume"),
        ("devfs_ruleset = 7;", "by number"),
        ("ip4 = inherit;", "own"),
        ("host = inherit;", "host's names"),
        ("sysvshm = inherit;", "aren't shared"),
        ("children.max = 999;", "0 to 100"),
        ("stop.timeout = soon;", "0 to 600"),
        ("zfs.dataset = tank/x;", "no ZFS"),
        ("linux.osname = Linux;", "already"),
        ("flavour = mint;", "no such parameter"),
    ],
)
def test_what_can_not_be_honoured_says_why(parameter: str, said: str) -> None:
    (jail,) = understood("a {\n " + parameter + "\n}")
    (one,) = jail.left_out
    assert (one.line, one.parameter) == (2, parameter.split()[0].rstrip(";"))
    assert said in one.text


def test_what_asks_for_less_than_there_is_leaves_nothing_out() -> None:
    (jail,) = understood(
        "a { allow.nochflags; allow.mount; allow.mount.fusefs; sysvmsg = new; sysvsem = disable; ip6 = disable;"
        " securelevel = 3; enforce_statfs = 2; devfs_ruleset = 4; persist; exec.stop = ''; }"
    )
    assert not jail.left_out
    assert jail.values == {
        "name": "a",
        "ipv6": 0,
        "jail": {"allow": ["mount", "mount.fuse", "sysvipc"]},
    }


@pytest.mark.parametrize(
    ("start", "command"),
    [
        ("exec.start = '/bin/httpd -f -p 80';", ["/bin/httpd", "-f", "-p", "80"]),
        ("exec.start = 'cd /srv && ./run';", ["/bin/sh", "-c", "set -e\ncd /srv && ./run"]),
        ("exec.start = '/bin/a'; exec.start += '/bin/b';", ["/bin/sh", "-c", "set -e\n/bin/a\n/bin/b"]),
        ("exec.start = '/bin/sh /etc/rc';", None),
    ],
)
def test_what_it_starts_is_its_first_process(start: str, command: list[str] | None) -> None:
    (jail,) = understood(f"a {{ {start} }}")
    assert jail.jail.get("command") == command


_LONG = "x" * 9_900


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a += b;" * 20_000 + "j {}", "more than 2000 parameters"),
        ("j {" + "a += b;" * 2_001 + "}", "more than 2000 parameters"),
        (f'$a = "{_LONG}"; $b = "' + "$a" * 50_000 + '"; j { path = "$b"; }', "come to more than"),
        (f'$a = "{_LONG}"; $b = ' + ",".join(['"$a"'] * 25_000) + '; j { path = "$b"; }', "come to more than"),
        (f'$a = "{_LONG}";' + "".join(f'p{n} = "$a";' for n in range(500)) + "j {} k {}", "come to more than"),
    ],
)
def test_a_short_file_that_comes_to_much_is_refused(text: str, said: str) -> None:
    """Reading one of them took a minute of a web process, or gigabytes."""
    with pytest.raises(BadConf) as refused:
        read(text)
    assert said in refused.value.text
