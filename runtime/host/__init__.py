"""Thin, typed ways to the kernel and to Debian's tools: one file each, no rule of ours in them."""
