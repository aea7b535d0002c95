"""The demonstration: a virtual city that streams into a whole installation on this machine."""
