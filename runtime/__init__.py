"""The node half of Wadah: makes the kernel hold what a spec says. Root, no Django, no database."""
