"""Files of an environment on their page: uploaded, edited, arranged, deleted and had back."""

import hashlib
import os
import re
from pathlib import Path

from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.support import Installation


def test_files_are_uploaded_and_deleted_on_their_page(
    page: Page, wadah: Installation, environment: str
) -> None:
    page.goto(f"/environments/{environment}/files")
    page.get_by_role("button", name="root", exact=True).click()
    page.locator("[data-upload]").first.set_input_files(
        {"name": "n&te.txt", "mimeType": "text/plain", "buffer": b"hello"}
    )
    line = page.get_by_role("row", name="n&te.txt")
    expect(line).to_be_visible()
    assert wadah.sh(environment, "cat '/root/n&te.txt'") == "hello"
    line.get_by_role("button", name="Edit").click()
    editor = page.locator("#files-editor")
    editor.get_by_role("textbox").fill("hello there")
    editor.get_by_role("button", name="Save").click()
    expect(editor).to_be_hidden()
    expect(line).to_contain_text("11 B")
    assert wadah.sh(environment, "cat '/root/n&te.txt'") == "hello there"
    with page.expect_download() as download:  # once any click here was one that copies
        line.get_by_role("link", name="n&te.txt").click()
    assert download.value.path().read_text() == "hello there"
    line.get_by_role("button", name="Delete").click()
    page.locator("#files-delete").get_by_role("button", name="Delete").click()
    expect(line).to_be_hidden()
    assert "txt" not in wadah.sh(environment, "ls /root")
    page.get_by_role("button", name="Trash", exact=True).click()
    trash = page.locator("#files-trash")
    trash.get_by_role("button", name="Put back: /root/n&te.txt").click()
    expect(trash.get_by_text("The trash is empty.")).to_be_visible()
    trash.get_by_role("button", name="Close").click()
    expect(line).to_be_visible()
    line.get_by_role("button", name="Delete").click()
    page.locator("#files-delete").get_by_label("For good, and not into the trash").check()
    page.locator("#files-delete").get_by_role("button", name="Delete").click()
    expect(line).to_be_hidden()
    assert wadah.sh(environment, "ls /.wadah-trash").strip() == ""


def test_a_folder_and_a_large_file_go_as_one_archive(
    page: Page, wadah: Installation, environment: str, tmp_path: Path
) -> None:
    long = "n" * 120 + "é.txt"
    (tmp_path / "site/deep").mkdir(parents=True)
    (tmp_path / "site/deep" / long).write_text("deep")
    (tmp_path / "site/large").write_bytes(b"0123456789abcdef" * 2**17)
    page.goto(f"/environments/{environment}/files")
    page.get_by_role("button", name="root", exact=True).click()
    page.get_by_role("button", name="New folder").click()
    page.locator("#files-name").get_by_role("textbox").fill("www")
    page.locator("#files-name").get_by_role("button", name="Make it").click()
    page.get_by_role("button", name="www", exact=True).click()
    expect(page.locator("[data-status]")).to_have_text("0 / 0")
    page.locator("[data-upload]").nth(1).set_input_files(tmp_path / "site")
    expect(page.get_by_role("button", name="site", exact=True)).to_be_visible()
    assert wadah.sh(environment, f"cat /root/www/site/deep/{long}") == "deep"
    assert wadah.sh(environment, "stat -c '%s %U %a' /root/www/site/large") == "2097152 root 644"
    wadah.sh(environment, "rm -r /root/www")


def test_chosen_ones_are_moved_copied_and_given_away_by_mouse_and_keyboard(
    page: Page, wadah: Installation, environment: str
) -> None:
    wadah.sh(environment, "mkdir -p /root/a/b; cd /root/a; for one in 1 2 3; do echo $one > f$one; done")
    page.goto(f"/environments/{environment}/files")
    page.get_by_role("button", name="root", exact=True).click()
    page.get_by_role("button", name="a", exact=True).click()
    bar = page.locator("#files-bar")
    page.get_by_role("checkbox", name="f1").check()
    page.get_by_role("checkbox", name="f2").check()
    expect(bar).to_contain_text("2 chosen")
    expect(bar.get_by_role("button", name="Rename")).to_be_hidden()
    bar.get_by_role("button", name="Mode and owner").click()
    mode = page.locator("#files-mode")
    expect(mode.get_by_label("Owner")).to_have_value("root")
    mode.get_by_label("Owner").fill("nobody")
    mode.get_by_label("Mode").fill("600")
    mode.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="f1")).to_contain_text("nobody:root")
    assert wadah.sh(environment, "stat -c '%U %a' /root/a/f1 /root/a/f2").split() == ["nobody", "600"] * 2
    page.get_by_role("checkbox", name="f1").check()
    page.get_by_role("checkbox", name="f2").check()
    bar.get_by_role("button", name="Move").click()
    expect(bar).to_be_hidden()
    page.get_by_role("button", name="b", exact=True).click()
    page.get_by_role("button", name="Put here:").click()
    expect(page.get_by_role("row", name="f2")).to_be_visible()
    assert wadah.sh(environment, "cd /root/a; ls . b").split() == [".:", "b", "f3", "b:", "f1", "f2"]

    row = page.get_by_role("row", name="f1")
    page.keyboard.press("ArrowDown")
    expect(row).to_be_focused()
    page.keyboard.press("F2")
    line = page.locator("#files-name").get_by_role("textbox")
    expect(line).to_have_value("f1")
    line.fill("first.txt")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="first.txt")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(bar).to_contain_text("1 chosen")
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+v")
    expect(page.locator("[data-entries] tr")).to_have_count(3)
    page.keyboard.press("Backspace")
    expect(page.get_by_role("row", name="f3")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.locator("#files-delete").get_by_role("button", name="Delete").click()
    expect(page.locator("[data-entries] tr")).to_have_count(0)
    assert wadah.sh(environment, "ls /root/a").strip() == ""
    wadah.sh(environment, "rm -r /root/a /.wadah-trash")


def test_on_a_phone_everything_is_within_reach(page: Page, wadah: Installation, environment: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    wadah.sh(environment, "mkdir -p /root/p; touch /root/p/one /root/p/two")
    page.goto(f"/environments/{environment}/files")
    page.get_by_role("button", name="root", exact=True).click()
    page.get_by_role("button", name="p", exact=True).click()
    page.get_by_role("checkbox", name="one").check()
    for name in ("Rename", "Move", "Copy", "Mode and owner", "Delete"):
        expect(page.locator("#files-bar").get_by_role("button", name=name)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    wadah.sh(environment, "rm -r /root/p")


def test_searched_packed_and_unpacked(page: Page, wadah: Installation, environment: str) -> None:
    wadah.sh(environment, "mkdir -p /root/s/deep; echo 'the needle' > /root/s/deep/Notes.txt")
    page.goto(f"/environments/{environment}/files")
    page.get_by_role("button", name="root", exact=True).click()
    page.get_by_role("button", name="s", exact=True).click()
    look = page.get_by_role("searchbox", name="Search below this directory")
    look.fill("notes")
    look.press("Enter")
    found = page.get_by_role("button", name="/root/s/deep/Notes.txt")
    expect(found).to_be_visible()
    look.fill("needle")
    page.get_by_label("In the content").check()
    look.press("Enter")
    expect(page.get_by_text("1: the needle")).to_be_visible()
    found.click()
    expect(page.get_by_role("link", name="Notes.txt", exact=True)).to_be_visible()
    page.keyboard.press("Backspace")
    page.get_by_role("checkbox", name="deep").check()
    page.locator("#files-bar").get_by_role("button", name="Pack").click()
    line = page.locator("#files-name").get_by_role("textbox")
    line.fill("all.zip")
    line.press("Enter")
    page.get_by_role("button", name="Unpack: all.zip").click()
    expect(line).to_have_value("all")
    line.press("Enter")
    expect(page.get_by_role("button", name="all", exact=True)).to_be_visible()
    assert wadah.sh(environment, "cat /root/s/all/deep/Notes.txt").strip() == "the needle"
    wadah.sh(environment, "rm -r /root/s")


def _whole(environment: str, wadah: Installation, path: str, data: bytes) -> bool:
    return wadah.sh(environment, f"sha256sum {path}").split()[0] == hashlib.sha256(data).hexdigest()


def test_a_large_file_goes_on_where_the_connection_broke(
    page: Page, wadah: Installation, environment: str, tmp_path: Path
) -> None:
    data, large = os.urandom(20 * 2**20 + 11), tmp_path / "site/deep/large.bin"
    large.parent.mkdir(parents=True)
    large.write_bytes(data)
    (tmp_path / "site/small").write_text("small")
    offsets: list[str] = []

    def cut(route: Route) -> None:
        offset = re.search(r"offset=(\d+)", route.request.url)
        if route.request.method != "POST" or offset is None:
            route.continue_()
            return
        offsets.append(offset[1])
        if len(offsets) in {2, 4}:  # the second part, and the third
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/files/uploads*", cut)
    page.goto(f"/environments/{environment}/files")
    page.get_by_role("button", name="root", exact=True).click()
    page.locator("[data-upload]").nth(1).set_input_files(tmp_path / "site")
    expect(page.get_by_text("It goes on by itself.")).to_be_visible()
    expect(page.get_by_role("button", name="site", exact=True)).to_be_visible(timeout=30_000)
    assert offsets == ["0", "8388608", "8388608", "16777216", "16777216"]
    assert _whole(environment, wadah, "/root/site/deep/large.bin", data)
    assert wadah.sh(environment, "cat /root/site/small; ls -A /.wadah-uploads") == "small"
    wadah.sh(environment, "rm -r /root/site")


def test_a_large_file_goes_on_after_the_page_was_closed(
    page: Page, wadah: Installation, environment: str, tmp_path: Path
) -> None:
    data, large = os.urandom(18 * 2**20 + 5), tmp_path / "large.bin"
    large.write_bytes(data)
    page.route("**/files/uploads?*offset=16777216*", lambda route: route.abort("connectionreset"))
    page.goto(f"/environments/{environment}/files")
    page.get_by_role("button", name="root", exact=True).click()
    page.locator("[data-upload]").first.set_input_files(large)
    expect(page.get_by_text("It goes on by itself.")).to_be_visible(timeout=30_000)
    page.unroute_all()

    offsets: list[str] = []
    page.on("request", lambda asked: offsets.extend(re.findall(r"offset=(\d+)", asked.url)))
    page.reload()
    line = page.get_by_role("listitem").filter(has_text="/root/large.bin")
    expect(line).to_contain_text("16 MiB / 18 MiB")
    with page.expect_file_chooser() as chooser:
        line.get_by_role("button", name="Go on").click()
    other = tmp_path / "other.bin"
    other.write_bytes(b"x")
    chooser.value.set_files(other)
    expect(page.get_by_text("This is another file")).to_be_visible()
    page.get_by_role("button", name="root", exact=True).click()
    page.locator("[data-upload]").first.set_input_files(large)
    expect(line).to_be_hidden(timeout=30_000)
    expect(page.get_by_role("link", name="large.bin")).to_be_visible(timeout=30_000)
    assert offsets == ["16777216"]
    assert _whole(environment, wadah, "/root/large.bin", data)

    wadah.sh(environment, "rm /root/large.bin")
    page.route("**/files/uploads?*offset=8388608*", lambda route: None)  # never answered
    page.locator("[data-upload]").first.set_input_files(large)
    expect(page.locator("[data-sent]")).to_have_text("8 MiB / 18 MiB", timeout=30_000)
    page.locator("[data-sending]").get_by_role("button", name="Cancel").click()
    expect(page.locator("[data-sending]")).to_be_hidden()
    page.unroute_all()
    offsets.clear()
    with page.expect_file_chooser() as chooser:
        line.get_by_role("button", name="Go on").click()
    chooser.value.set_files(large)
    expect(line).to_be_hidden(timeout=30_000)
    expect(page.get_by_role("link", name="large.bin")).to_be_visible(timeout=30_000)
    assert offsets == ["8388608", "16777216"]
    assert _whole(environment, wadah, "/root/large.bin", data)

    page.route("**/files/uploads?*offset=8388608*", lambda route: None)
    page.locator("[data-upload]").first.set_input_files(large)
    expect(page.locator("[data-sent]")).to_have_text("8 MiB / 18 MiB", timeout=30_000)
    page.locator("[data-sending]").get_by_role("button", name="Cancel").click()
    expect(page.locator("[data-sending]")).to_be_hidden()
    line.get_by_role("button", name="Discard").click()
    expect(line).to_be_hidden()
    assert wadah.sh(environment, "ls -A /.wadah-uploads").strip() == ""
    wadah.sh(environment, "rm /root/large.bin")


def _keys(text: Locator, *, is_painted: bool) -> list[float]:
    """Milliseconds from each of five keys to its picture, with what listens to the textarea or without."""
    return [
        float(one)
        for one in text.evaluate(
            """async (one, isPainted) => {
            const [times, frame] = [[], () => new Promise((done) => requestAnimationFrame(done))];
            for (let number = 0; number < 5; number += 1) {
                const began = performance.now();
                one.setRangeText("x", 0, 0, "end");
                if (isPainted) one.dispatchEvent(new Event("input"));
                await frame();
                await frame();
                times.push(performance.now() - began);
            }
            return times;
        }""",
            is_painted,
        )
    ]


def test_a_long_text_is_edited_in_colours_and_stays_quick(
    page: Page, wadah: Installation, environment: str
) -> None:
    line = "listen $i; # a comment 'and' more words of it"
    wadah.sh(environment, f'i=0; while [ $i -lt 20000 ]; do echo "{line}"; i=$((i+1)); done > /root/long.conf')
    wadah.sh(
        environment, r"printf 'a = \"v\"\r\nb = 2\r\n' > /root/dos.ini; printf 'a\r\nb\n' > /root/mixed.ini"
    )
    page.goto(f"/environments/{environment}/files")
    page.get_by_role("button", name="root", exact=True).click()
    editor = page.locator("#files-editor")
    text, painted = editor.get_by_role("textbox"), editor.locator("pre code")

    page.get_by_role("row", name="long.conf").get_by_role("button", name="Edit").click()
    expect(painted.locator(".code-keyword").first).to_have_text("listen")
    expect(painted.locator(".code-comment").first).to_have_text("# a comment 'and' more words of it")
    text.evaluate("one => { one.scrollTop = 10000 * 20; }")
    expect(painted).to_contain_text("listen 10000;")
    assert int(painted.evaluate("one => one.children.length")) < 400  # what is seen, and a little more
    plain, took = (sorted(_keys(text, is_painted=one))[2] for one in (False, True))
    print(f"a key in {int(wadah.sh(environment, 'wc -c < /root/long.conf'))} bytes: {plain:.0f}, {took:.0f} ms")
    assert took < 2 * plain + 100  # most of it is the textarea's own
    text.press("Control+End")
    page.keyboard.type('echo "end"')
    expect(painted.locator(".code-string").last).to_have_text('"end"')
    expect(editor.locator("[data-where]")).to_have_text("20001:11")
    page.keyboard.press("Control+s")
    expect(editor).to_be_hidden()
    assert wadah.sh(environment, "tail -n 1 /root/long.conf") == 'echo "end"'

    page.get_by_role("row", name="dos.ini").get_by_role("button", name="Edit").click()
    expect(painted.locator(".code-name").first).to_have_text("a")
    text.press("Control+End")
    page.keyboard.type("c = 3")
    editor.get_by_role("button", name="Save").click()
    expect(editor).to_be_hidden()
    assert wadah.sh(environment, "grep -c \"$(printf '\\r')$\" /root/dos.ini; tail -n 1 /root/dos.ini").split(
        "\n"
    ) == ["2", "c = 3"]
    page.get_by_role("row", name="mixed.ini").get_by_role("button", name="Edit").click()
    expect(page.get_by_text("Its lines end in different ways")).to_be_visible()
    expect(editor).to_be_hidden()
    wadah.sh(environment, "rm /root/long.conf /root/dos.ini /root/mixed.ini")
