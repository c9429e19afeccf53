"""The first place at which two towers part: their stages tapped, laid beside each other, and told by token."""
