"""What is kept of a measurement: typed results, the machine they come from, and how to read them back."""
