"""The frame around every page: what one may open, what doesn't work right now, the palette."""
