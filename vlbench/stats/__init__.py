"""Statistics of times: paired ratios by rounds and by neighbours, with intervals. Knows nothing of towers."""
