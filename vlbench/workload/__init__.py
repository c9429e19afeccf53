"""What is fed in: scenario files, photos or noise, turned into grids and pixels."""
