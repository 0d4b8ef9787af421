"""Images of OCI registries: asked and fetched by skopeo, unpacked by umoci, both confined; kept by digest."""
