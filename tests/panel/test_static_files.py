"""What `collectstatic` makes of a file."""

from pathlib import Path

from panel.config.staticfiles import ModuleManifestStorage


def test_the_name_that_pages_ask_for_is_compressed_and_the_plain_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a { color: red }\n" * 100)
    storage = ModuleManifestStorage(location=tmp_path, base_url="/static/")
    list(storage.post_process({"a.css": (storage, "a.css")}))
    hashed = storage.stored_name("a.css")
    names = {one.name for one in tmp_path.iterdir()} - {"staticfiles.json"}
    assert names == {"a.css", hashed, f"{hashed}.br", f"{hashed}.gz"}
    assert hashed != "a.css"
