"""`sglang.bench_serving --output-file`: JSON lines, one run per line.

Lines that were measured under another load (request rate, concurrency, lengths) become rows of their own.
https://docs.sglang.io/developer_guide/bench_serving.html
"""

from vlbench.readers.serving import serving_reader

TELLING = {"median_e2e_latency_ms", "output_throughput", "completed"}
READER = serving_reader("sglang", "sglang.bench_serving --output-file", TELLING)
