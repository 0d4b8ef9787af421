"""What an installation costs in time and memory, measured on the whole of it: `./wadah bench`."""
