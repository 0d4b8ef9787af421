"""Debian's hosted packages, tried one by one in real environments; what came of it is docs/compatibility.md."""
