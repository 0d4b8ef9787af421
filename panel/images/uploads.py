"""A page's form with a file: its pieces go straight to where archives are kept, never into memory or /tmp."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.utils.translation import gettext as _

from panel.errors import Invalid, Refused
from panel.images.archives import Intake, Staged, discard


class StagedUpload(UploadedFile):
    """What `request.FILES` holds then: either where it lies, or why not."""

    def __init__(self, name: str, staged: Staged | None, refusal: Refused | None) -> None:
        super().__init__(file=None, name=name, size=staged.bytes if staged else 0)
        self._staged, self._refusal = staged, refusal

    def take(self) -> Staged:
        """Once; it is the caller's from then on. Raises why it was refused."""
        if self._refusal is not None:
            raise self._refusal
        if self._staged is None:
            raise Invalid(_("Choose a file: a tar archive of a root file system."), field="archive")
        taken, self._staged = self._staged, None
        return taken

    def drop(self) -> None:
        """Throws away what nobody took."""
        if self._staged is not None:
            discard(self._staged.id)
            self._staged = None


class StagingHandler(FileUploadHandler):
    """Takes the one file of the field `archive`; to be set before anything of the form is read."""

    chunk_size = 256 * 1024

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self.intake: Intake | None = None
        self.refusal: Refused | None = None
        self.upload: StagedUpload | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.intake is not None or self.refusal is not None or self.field_name != "archive":
            raise StopUpload(connection_reset=True)
        try:
            self.intake = Intake()
        except Refused as refusal:
            self.refusal = refusal

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if self.intake is not None and self.refusal is None:
            try:
                self.intake.write(raw_data)
            except Refused as refusal:
                self.refusal = refusal
                self.intake.close()
        if self.refusal is not None and start > 64 * 2**20:
            raise StopUpload(connection_reset=True)  # a browser that won't stop by itself
        return None

    def file_complete(self, file_size: int) -> StagedUpload:
        staged = None
        if self.intake is not None and self.refusal is None:
            try:
                staged = self.intake.finish()
            except Refused as refusal:
                self.refusal = refusal
        if self.intake is not None:
            self.intake.close()
        self.upload = StagedUpload(self.file_name or "archive", staged, self.refusal)
        return self.upload

    def upload_interrupted(self) -> None:
        self.close()

    def close(self) -> None:
        """Leaves nothing that nobody took."""
        if self.upload is not None:
            self.upload.drop()
        if self.intake is not None:
            self.intake.close()
