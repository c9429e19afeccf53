"""`vllm bench serve --save-result` or `--append-result`: one JSON object is one run.

https://docs.vllm.ai/en/latest/benchmarking/cli
"""

from vlbench.readers.serving import serving_reader

TELLING = {"request_throughput", "total_token_throughput", "model_id"}
READER = serving_reader("vllm", "vllm bench serve --save-result or --append-result", TELLING)
