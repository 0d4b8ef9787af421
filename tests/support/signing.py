"""Keys and signatures of images for tests: of GPG, by skopeo and gpg; of sigstore, as cosign writes them."""

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.ports import free_port
from tests.support.registry import Hub, Layout

_SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"


@dataclass
class Gpg:
    """A key pair, and a folder of signatures that `served` shows."""

    home: Path
    fingerprint: str
    public: str
    folder: Path

    @classmethod
    def new(cls, place: Path) -> "Gpg":
        home, folder = place / "gpg", place / "signatures"
        home.mkdir(mode=0o700)
        folder.mkdir()
        environment = {**os.environ, "GNUPGHOME": str(home)}

        def gpg(*words: str) -> str:
            done = subprocess.run(
                ["gpg", "--batch", *words],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            return done.stdout

        gpg("--passphrase", "", "--quick-gen-key", "signer@example.org", "ed25519", "sign", "never")
        lines = gpg("--list-keys", "--with-colons").splitlines()
        fingerprint = next(one.split(":")[9] for one in lines if one.startswith("fpr"))
        return cls(home, fingerprint, gpg("--armor", "--export", fingerprint), folder)

    def sign(self, hub: Hub, image: str) -> None:
        """By `skopeo copy --sign-by` onto itself, as people do it."""
        places = self.home / "registries.d"
        places.mkdir(exist_ok=True)
        document = {"default-docker": {"lookaside-staging": f"file://{self.folder}"}}
        (places / "signing.yaml").write_text(json.dumps(document))
        tls = ["--src-tls-verify=false", "--dest-tls-verify=false"]
        words = ["skopeo", "--insecure-policy", f"--registries.d={places}", "copy", "--quiet", *tls]
        whole = [*hub.enter, *words, f"--sign-by={self.fingerprint}", f"docker://{image}", f"docker://{image}"]
        subprocess.run(whole, env={**os.environ, "GNUPGHOME": str(self.home)}, check=True, timeout=60)

    @contextmanager
    def served(self, enter: Sequence[str] = ()) -> Iterator[str]:
        """Address of the folder."""
        port = free_port()
        words = [
            "python3",
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "--directory",
            str(self.folder),
            str(port),
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([*enter, *words], **quiet)  # type: ignore[call-overload]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait(20)


class Sigstore:
    """A key pair; what it signs gets a tag beside the image, as cosign's specification of signatures has it."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public = self._private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def sign(self, hub: Hub, image: str, place: Path, *, named: str = "") -> None:
        """`named`: the repository that the signature is of, where it isn't the image's own."""
        name = image.rpartition(":")[0]
        look = [*hub.enter, "skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{image}"]
        raw = subprocess.run(look, capture_output=True, check=True, timeout=60).stdout
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        payload = json.dumps(
            {
                "critical": {
                    "identity": {"docker-reference": named or name},
                    "image": {"docker-manifest-digest": digest},
                    "type": "cosign container image signature",
                },
                "optional": None,
            }
        ).encode()
        signature = base64.b64encode(self._private.sign(payload, ec.ECDSA(hashes.SHA256()))).decode()
        layout = Layout(place)
        layer, size = layout.blob(payload)
        config, config_size = layout.blob(
            json.dumps(
                {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer]}}
            ).encode()
        )
        annotations = {"dev.cosignproject.cosign/signature": signature}
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config,
                "size": config_size,
            },
            "layers": [{"mediaType": _SIMPLE, "digest": layer, "size": size, "annotations": annotations}],
        }
        own, own_size = layout.blob(json.dumps(manifest).encode())
        described = {"mediaType": manifest["mediaType"], "digest": own, "size": own_size}
        tag = f"{name}:{digest.replace(':', '-')}.sig"
        words = [*hub.enter, "skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*words, layout.named(described), f"docker://{tag}"], check=True, timeout=60)
