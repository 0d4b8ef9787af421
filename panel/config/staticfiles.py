"""Static files with hashed, compressed names; `import … from` lines of ES modules are rewritten as well."""

from collections.abc import Iterable, Iterator

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleManifestStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # untyped there
    support_js_module_import_aggregation = True
    manifest_strict = True

    def compress_files(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Of the hashed names alone: pages ask for them, and compressing is most of what collecting takes."""
        return super().compress_files(set(names) & set(self.hashed_files.values()))  # type: ignore[no-any-return]
