"""What the loader of pages leaves of the line breaks that were written for the reader."""

from pathlib import Path

import pytest

from panel.ui.loader import tighten

TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.mark.parametrize(
    ("written", "loaded"),
    [
        ("<p>\n  {% trans 'x' %}\n</p>\n", "<p>{% trans 'x' %}</p>"),
        ("<b>a</b>\n<i>b</i>", "<b>a</b><i>b</i>"),
        ('<b>a</b>{{ " " }}\n<i>b</i>', "<b>a</b> <i>b</i>"),
        ("<b>a</b> <i>b</i>", "<b>a</b> <i>b</i>"),
        ("one\n  two\n  {{ three }}\n  four", "one two {{ three }} four"),
        (
            '<a class="x"\n   href="{% if a > b %}y{% endif %}">',
            '<a class="x" href="{% if a > b %}y{% endif %}">',
        ),
        ("<pre>\n a\n  b </pre>\n<p>", "<pre>\n a\n  b </pre><p>"),
        (
            "{% blocktrans trimmed %}\n  a\n  b\n{% endblocktrans %}\n<p>",
            "{% blocktrans trimmed %}\n  a\n  b\n{% endblocktrans %}<p>",
        ),
        ("<script>\nlet a\nlet b\n</script>", "<script>\nlet a\nlet b\n</script>"),
        ("{# why\n #}\n<p>", "{# why\n #}<p>"),
        ("", ""),
    ],
)
def test_a_line_break_is_nothing_beside_a_tag_and_a_space_between_words(written: str, loaded: str) -> None:
    assert tighten(written) == loaded
    assert tighten(loaded) == loaded


def test_no_line_of_a_template_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(TEMPLATES)}:{number}"
        for path in TEMPLATES.rglob("*.*")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > 160
    ]
    assert not long
