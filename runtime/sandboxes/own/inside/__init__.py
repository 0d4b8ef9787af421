"""What runs in the container of an own kernel and in its guest, by the Python of the kernel's tree: standard
library alone, and nothing of ours but what stands here."""
