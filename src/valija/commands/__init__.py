"""One file per command; each has an object `command`."""
