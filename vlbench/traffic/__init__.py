"""What vision towers are called with where they serve: written down call by call, and read back. Imports no torch."""
