"""F17: what an environment prints is drawn, and does nothing else: it reaches no clipboard, types nothing back,
names no window, runs no script, and doesn't keep the page from answering."""

from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import SMALL, Opens
from tests.e2e.browser.terminal import READ_ALOUD, Screen
from tests.e2e.support import Installation

#: Octal, for printf. Each that a terminal might obey, as 7-bit sequences and as C1 characters.
_SEQUENCES = (
    r"\033]52;c;aGFja2Vk\007",  # "hacked" into the clipboard
    r"\033]52;c;?\007",  # the clipboard, typed back
    r"\302\23552;c;aGFja2Vk\302\234",
    r"\033]0;evil title\007\033]2;evil title\007",
    r"\033[21t\033[20t\033[18t\033[14t\302\23321t",  # reports on the window
    r"\033P$qm\033\\\033P$q\"p\033\\\302\220$qm\302\234",  # DECRQSS
    r"\033P+q544e\033\\",  # XTGETTCAP
    r"\033]4;1;?\007\033]10;?\007\033]11;?\007",  # colours, typed back
    r"\033]1337;File=name=eA==;inline=1:aGk=\007\033]9;note\007\033]777;notify;a;b\007",
    r"\033P1;2;3xunfinished \033[?5W\033_apc\033\\\033^pm\033\\\033Xsos\033\\",
    r"\377\376\300\200\355\240\200\364\220\200\200",  # no UTF-8
    r"\005",  # ENQ
    r"<img src=x onerror=alert(1)>",
)
_LINK = r"\033]8;;%s\007%s\033]8;;\007"


def _shell(page: Page, environment: str) -> Screen:
    page.add_init_script(READ_ALOUD)
    page.goto(f"/environments/{environment}/console")
    page.get_by_role("button", name="New root shell").click()
    screen = Screen(page, "t1")
    screen.is_connected()
    screen.shows("#")
    return screen


def _script(wadah: Installation, environment: str, text: str) -> None:
    wadah.sh(environment, f"cat > /root/print <<'END'\n{text}\nEND\n")


def test_f17_sequences_are_drawn_or_dropped_and_never_obeyed(
    opens: Opens, wadah: Installation, environment: str
) -> None:
    """The sequences go out, then all that the terminal types for two seconds is kept and looked at."""
    page = opens(viewport=SMALL)
    screen = _shell(page, environment)
    page.evaluate("navigator.clipboard.writeText('mine')")
    title = page.title()
    opened: list[str] = []
    page.on("popup", lambda one: opened.append(one.url))
    page.on("dialog", lambda one: opened.append(one.message))
    printed = "\n".join(f"printf '{one}'" for one in _SEQUENCES)
    _script(
        wadah,
        environment,
        f"stty raw -echo\n{printed}\ntimeout 2 cat > /root/typed\nstty sane\necho over-$((1+1))",
    )
    screen.run("sh /root/print")
    screen.shows("over-2")
    assert wadah.sh(environment, "od -c /root/typed | head -5; wc -c < /root/typed").split()[-1] == "0"
    assert page.evaluate("navigator.clipboard.readText()") == "mine"
    assert page.title() == title
    assert opened == []
    screen.run("clear; echo still-$((40+2))")
    screen.shows("still-42")


def test_f17_a_link_says_where_it_leads_before_it_is_opened(
    opens: Opens, wadah: Installation, environment: str
) -> None:
    page = opens(viewport=SMALL)
    screen = _shell(page, environment)
    opened: list[str] = []
    page.on("popup", lambda one: opened.append(one.url))
    web, script = (
        _LINK % ("http://127.0.0.1:9/elsewhere", "w" * 300),
        _LINK % ("javascript:alert(1)", "s" * 300),
    )
    _script(wadah, environment, f"printf '\\033[2J\\033[H{script}\\n{web}\\n'; echo shown-$((1+1))")
    screen.run("sh /root/print")
    screen.shows("shown-2")
    canvas = page.locator("#terminal-t1 .xterm-screen")
    canvas.click(position={"x": 60, "y": 8})
    page.wait_for_timeout(200)
    expect(page.get_by_role("dialog")).to_have_count(0)
    box = canvas.bounding_box()
    assert box is not None
    dialog = page.get_by_role("dialog")
    for y in range(8, 200, 12):
        canvas.click(position={"x": 60, "y": y})
        page.wait_for_timeout(50)
        if dialog.count():
            break
    expect(dialog).to_contain_text("http://127.0.0.1:9/elsewhere")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert opened == []


def test_f17_ten_megabytes_without_a_newline_leave_the_page_answering(
    opens: Opens, wadah: Installation, environment: str
) -> None:
    """Its rows are written out for a screen reader only after: doing that for each piece takes its time."""
    page = opens(viewport={"width": 640, "height": 480})
    page.goto(f"/environments/{environment}/console")
    page.get_by_role("button", name="New root shell").click()
    screen = Screen(page, "t1")
    screen.is_connected()
    _script(
        wadah, environment, "head -c 10485760 /dev/zero | tr '\\0' x; echo; echo over-$((1+1)); : > /root/over"
    )
    page.evaluate(
        """() => {
          let last = performance.now();
          window.longest = 0;
          setInterval(() => {
            const now = performance.now();
            window.longest = Math.max(window.longest, now - last);
            last = now;
          }, 20);
        }"""
    )
    screen.run("sh /root/print")
    wadah.wait(lambda: wadah.sh(environment, "ls /root/over || true"), 60)
    assert page.evaluate("window.longest") < 5000
    screen.place.get_by_role("button", name="Read aloud").click()
    screen.shows("over-2")
    screen.run("clear; echo still-$((40+2))")
    screen.shows("still-42")
