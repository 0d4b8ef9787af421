"""The frame that all pages share: signed-in views, the shell around a page, the palette, the components."""
