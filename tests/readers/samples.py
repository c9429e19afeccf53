"""One file of each format and of each form in which it comes, as its tool writes or prints it.

`SAMPLES` has the name of the reader, then text; forms of one format have names such as "vllm-latency printed".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .test_readers import AIPERF, AIPERF_CSV, HYPERFINE, PYTEST_BENCHMARK, SGLANG, VLLM

PRINTED = [(Path(__file__).parent / f"printed/bench_serving_run{run}.txt").read_text() for run in (1, 2, 3)]
VLLM_TABLE = """INFO 04-14 17:07:28 [__init__.py:239] Automatically detected platform cuda.
Namespace(backend='vllm', dataset_name='sharegpt', num_prompts=200, request_rate=1.0)
============ Serving Benchmark Result ============
Successful requests:                     200
Benchmark duration (s):                  216.28
Total input tokens:                      42659
Total generated tokens:                  42727
Request throughput (req/s):              0.92
Output token throughput (tok/s):         197.55
Total Token throughput (tok/s):          394.79
---------------Time to First Token----------------
Mean TTFT (ms):                          110.09
Median TTFT (ms):                        97.15
P99 TTFT (ms):                           229.35
-----Time per Output Token (excl. 1st token)------
Median TPOT (ms):                        43.83
P99.9 TPOT (ms):                         51.30
--------------Speculative Decoding----------------
Acceptance rate (%):                     61.20
Per-position acceptance (%):
  Position 0:                            80.10
==================================================
"""
MM_PROCESSOR = {
    "completed": 10,
    "failed": 0,
    "mean_e2el_ms": 910.0,
    "median_e2el_ms": 900.0,
    "std_e2el_ms": 20.0,
    "percentiles_e2el_ms": [[99.0, 980.0]],
    "mm_processor_stats": {
        "get_mm_hashes_secs": {"mean": 0.4, "median": 0.3, "std": 0.1, "p99.0": 0.9},
        "apply_hf_processor_secs": {"mean": 31.0, "median": 30.5, "std": 1.0, "p99.0": 36.0},
        "encoder_forward_secs": {"mean": 12.0, "median": 11.5, "std": 1.0, "p99.0": 15.0},
        "merge_mm_kwargs_secs": {"mean": 0.0, "median": 0.0, "std": 0.0, "p99.0": 0.0},
        "num_encoder_calls": {"mean": 1.0, "median": 1.0, "std": 0.0, "p99.0": 1.0},
    },
    "encoder_summary": {"total_encoder_calls": 10, "num_requests_with_encoder_calls": 10},
    "config": {"model": "some/model", "num_prompts": 10, "input_len": 300, "output_len": None},
    "timestamp": "2026-01-01T00:00:00",
}
MM_TABLE = """================================================================================
Multimodal Processor Benchmark Results
================================================================================

MM Processor Metrics:
                  Stage  Mean Median  Std P99.0
     get_mm_hashes_secs  0.40   0.30 0.10  0.90
apply_hf_processor_secs 31.00  30.50 1.00 36.00
   encoder_forward_secs 12.00  11.50 1.00 15.00
   merge_mm_kwargs_secs  0.00   0.00 0.00  0.00
      num_encoder_calls  1.00   1.00 0.00  1.00

Summary: 10 total encoder calls across 10 requests.

End-to-End Latency (ms):
Metric Value (ms)
  Mean     910.00
Median     900.00
   Std      20.00
 P99.0     980.00
"""
LATENCY = {
    "avg_latency": 1.3,
    "std_latency": 0.2,
    "latencies": [1.0, 1.2, 1.7],
    "percentiles": {"10": 1.04, "25": 1.1, "50": 1.2, "75": 1.45, "90": 1.6, "99": 1.69},
}
LATENCY_PRINTED = """Warmup iterations: 100%|##########| 10/10 [00:14<00:00,  1.47s/it]
Avg latency: 1.475279240796808 seconds
10% percentile latency: 1.4704144389019347 seconds
25% percentile latency: 1.4711670397227863 seconds
50% percentile latency: 1.4726597834960558 seconds
75% percentile latency: 1.4755478004954057 seconds
90% percentile latency: 1.4805126614111943 seconds
99% percentile latency: 1.5062954947334948 seconds
"""
THROUGHPUT = {
    "elapsed_time": 14.65,
    "num_requests": 500,
    "total_num_tokens": 255900,
    "requests_per_second": 34.14,
    "tokens_per_second": 17466.3,
}
THROUGHPUT_PRINTED = """Throughput: 34.14 requests/s, 17466.30 total tokens/s, 8739.16 output tokens/s
Total num prompt tokens:  255648
Total num output tokens:  256000
"""
GOOGLE = {
    "context": {
        "date": "2026-01-01T00:00:00+00:00",
        "host_name": "ci-7",
        "executable": "./bench",
        "num_cpus": 8,
        "mhz_per_cpu": 2801,
        "cpu_scaling_enabled": False,
        "caches": [],
        "load_avg": [],
        "library_build_type": "release",
    },
    "benchmarks": [
        {"name": "BM_a/8", "run_name": "BM_a/8", "run_type": "iteration", "repetitions": 3, "repetition_index": index}
        | {"threads": 1, "iterations": 1000, "real_time": time, "cpu_time": time, "time_unit": "us"}
        for index, time in enumerate((10.0, 12.0, 11.0))
    ]
    + [
        {"name": "BM_a/8_mean", "run_name": "BM_a/8", "run_type": "aggregate", "aggregate_name": "mean"}
        | {"iterations": 3, "real_time": 11.0, "cpu_time": 11.0, "time_unit": "us"}
    ],
}
BM: dict[str, Any] = GOOGLE["benchmarks"][0]  # type: ignore[index]
MEDIAN = {"name": "BM_a/8_median", "run_name": "BM_a/8", "run_type": "aggregate", "aggregate_name": "median"} | {
    "time_unit": "ns"
}
LIST = [
    {"name": "encode", "unit": "ms", "value": 50.5, "range": "± 3"},
    {"name": "throughput", "unit": "images/s", "value": 100.25, "extra": "of 8"},
]
HISTORY = {
    "lastUpdate": 1700000000000,
    "repoUrl": "https://example.org/repo",
    "entries": {
        "Towers": [
            {"commit": {"id": "aaa"}, "date": 1, "tool": "customBiggerIsBetter"}
            | {"benches": [{"name": "encode", "value": 9.5, "unit": "score"}]},
            {"commit": {"id": "bbb"}, "date": 2, "tool": "customBiggerIsBetter"}
            | {"benches": [{"name": "encode", "value": 12.5, "range": "± 1", "unit": "score"}]},
        ]
    },
}
RESULT_COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b", "stats_q_25"),
    *("stats_q_75", "stats_number", "stats_repeat", "samples", "profile"),
)
ASV = {
    "commit_hash": "fcf8c079fae7ebad9f27bd31a819f0e4fdd85b99",
    "env_name": "py3.12",
    "date": 1367127519000,
    "params": {"arch": "x86_64", "cpu": "Imaginary 9000", "machine": "cheetah", "os": "Linux", "python": "3.12"},
    "python": "3.12",
    "requirements": {},
    "env_vars": {},
    "result_columns": [*RESULT_COLUMNS],
    "results": {
        "towers.Forward.time_forward": [
            [0.15],
            [],
            "1",
            1,
            0.5,
            [0.1],
            [0.2],
            [0.1],
            [0.2],
            [1],
            [3],
            [[0.1, 0.15, 0.2]],
        ],
        "towers.peakmem_forward": [[1e6, 2.5e6], [["'tiny'", "'small'"]], "1"],
    },
    "durations": {"<build>": 3.5},
    "version": 2,
}
DUMPED = [
    {"filename": "test_vit.py", "test_case": "T.test_a", "metric_name": "encode_latency_ms", "value": 12.5, "ts": 1.5},
    {"filename": "test_vit.py", "test_case": "T.test_a", "metric_name": "tokens_per_s", "value": 100, "ts": 1.6}
    | {"labels": {"model": "some"}},
]
MMMU = """Evaluating...
answers saved to: ./answer_sglang.json
{'Accounting': {'acc': 0.467, 'num': 30},
 'Diagnostics_and_Laboratory_Medicine': {'acc': 0.4,
                                         'num': 30},
 'Overall': {'acc': 0.519, 'num': 900}}
eval out saved to ./val_sglang.json
Overall accuracy: 0.519
"""
MMMU_TABLE = """| Subject            |   Data Num |   Acc |
|--------------------+------------+-------|
| Overall-Business   |        150 | 0.367 |
| Overall            |        900 | 0.519 |
"""
LM_EVAL = {
    "results": {
        "mmmu_val": {
            "alias": "mmmu_val",
            "mmmu_acc,none": 0.519,
            "mmmu_acc_stderr,none": "N/A",
            "submission,none": None,
        },
        "chartqa": {"alias": "chartqa", "relaxed_overall,none": 0.8, "relaxed_overall_stderr,none": 0.008},
    },
    "configs": {},
    "versions": {"mmmu_val": 0.0, "chartqa": "Yaml"},
    "n-shot": {"mmmu_val": 0, "chartqa": 0},
    "higher_is_better": {"mmmu_val": {"mmmu_acc": True}, "chartqa": {"relaxed_overall": True}},
    "n-samples": {"mmmu_val": {"original": 900, "effective": 900}},
    "config": {"model": "qwen2_5_vl"},
    "date": "20260101_000000",
}
LM_EVAL_TABLE = """
|             Groups             |Version|Filter|n-shot|Metric|   |Value |   |Stderr|
|--------------------------------|------:|------|------|------|---|-----:|---|-----:|
|mmmu_val                        |      0|none  |      |acc   |↑  |0.4300|±  |0.0163|
| - Art and Design               |      0|none  |      |acc   |↑  |0.5333|±  |0.0454|
|                                |       |strict|      |wer   |↓  |0.2000|±  |   N/A|
"""
SAMPLES: dict[str, str] = {
    name: text if isinstance(text, str) else json.dumps(text)
    for name, text in {
        "mmmu": '{"Overall": {"num": 900, "acc": 0.519}}',
        "mmmu printed": MMMU,
        "mmmu table": MMMU_TABLE,
        "mmmu lines": "MMMU: 0.519 of 900\nMathVista = 61.5 % of 1,000 questions\nOCR: 467/900\n",
        "aiperf": AIPERF,
        "aiperf csv": AIPERF_CSV,
        "asv": ASV,
        "github-action-benchmark": LIST,
        "github-action-benchmark history": HISTORY,
        "github-action-benchmark data.js": f"window.BENCHMARK_DATA = {json.dumps(HISTORY, indent=2)}",
        "google-benchmark": GOOGLE,
        "hyperfine": HYPERFINE,
        "lm-eval": LM_EVAL,
        "lm-eval table": LM_EVAL_TABLE,
        "pytest-benchmark": PYTEST_BENCHMARK,
        "samples": "name,value\na_ms,1\na_ms,2\n",
        "serving-table": PRINTED[0],
        "serving-table vllm": VLLM_TABLE,
        "sglang": SGLANG,
        "sglang-metrics": "\n".join(map(json.dumps, DUMPED)),
        "summary": "t: 17.25 +- 0.72 ms (n=3)\n",
        "summary csv": "name,mean,std,n\na_ms,1,0.1,3\n",
        "vllm": VLLM,
        "vllm-latency": LATENCY,
        "vllm-latency printed": LATENCY_PRINTED,
        "vllm-mm-processor": MM_PROCESSOR,
        "vllm-mm-processor printed": MM_TABLE,
        "vllm-throughput": THROUGHPUT,
        "vllm-throughput printed": THROUGHPUT_PRINTED,
    }.items()
}
