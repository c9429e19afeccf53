"""What is compared: variants of a model on the points of a scenario."""
