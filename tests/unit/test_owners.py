"""Names of users and groups, read from lists that anybody inside may have written."""

from runtime.storage.owners import parsed


def test_the_first_name_of_a_number_counts_and_what_is_no_line_is_passed_over() -> None:
    text = (
        b"root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:\nweb:x:33:33:\n\n:x:5:\nno\nbad:x:y:1\n"
        + b"n" * 65
        + b":x:7:\n"
    )
    assert parsed(text) == {0: "root", 33: "web"}
    assert parsed(b"\xff:x:1:\nlong:x:" + b"1" * 5000 + b":\n") == {1: "\ufffd"}
    assert parsed(b"") == {}
