"""Where things are kept: adapters for the ports that other rooms state."""
