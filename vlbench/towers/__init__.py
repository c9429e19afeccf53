"""A tower by name: ours with flags, a peer's, anyone's factory, or one of another folder."""
