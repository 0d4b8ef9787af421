"""Jobs: what a node does once. One file per kind; `runner` does them, each in a process of its own
(`__main__`)."""
