"""Everything that is arithmetic: frames in, frames or findings out. No I/O, no clock."""
