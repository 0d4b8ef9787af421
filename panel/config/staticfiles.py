"""Static files with hashed, compressed names; `import … from` lines of ES modules are rewritten as well."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleManifestStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # untyped there
    support_js_module_import_aggregation = True
    manifest_strict = True
