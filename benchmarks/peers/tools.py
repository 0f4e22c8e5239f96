"""The load generators: how each is installed, told a load, and read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.loads import INPUT_TOKENS, Load, Reported

MODEL = "near-free"


@dataclass(frozen=True)
class Place:
    """Where a run happens. python: the interpreter of the tool's environment; folder: for its result files."""

    python: Path
    tokenizer: Path
    folder: Path
    url: str

    def program(self, name: str) -> str:
        return str(self.python.parent / name)


@dataclass(frozen=True)
class Tool:
    """One load generator.

    package:  its name in the registry, and version that of its installed package.
    installs: arguments of `pip install`, one call each; none for holdfast, which is this checkout.
    command:  the command line that offers a load; read: its result files.
    how:      what a reader must know of the way it was run.
    """

    name: str
    package: str
    installs: tuple[tuple[str, ...], ...]
    command: Callable[[Load, Place], list[str]]
    read: Callable[[Load, Path], Reported]
    how: str


def _holdfast(load: Load, place: Place) -> list[str]:
    open_loop = f"--rate {load.rate_per_s}/s --arrivals constant"
    level = f"--concurrency {load.concurrency}" if load.concurrency else open_loop
    command = (
        f"{place.python} -m holdfast load {place.url} --model {MODEL} --input-tokens {INPUT_TOKENS} "
        f"--output-tokens {load.output_tokens} {level} --duration {load.duration_s:g}s --out run --json"
    )
    return command.split() + ([] if load.stream else ["--no-stream"])


def _read_holdfast(load: Load, folder: Path) -> Reported:
    text = (folder / "log").read_text()
    stage = json.loads(text[text.index("{") :])["stage"]
    ttft = stage["ttft"]
    return Reported(
        requests=stage["requests"],
        failed=sum(stage["errors"].values()),
        ttft_p50_ms=ttft and ttft["p50_s"] * 1000,
        ttft_p99_ms=ttft and ttft["p99_s"] * 1000,
        checks=1,
        skipped=stage["requests"] - stage["latency"]["n"],
        warning=f"it calls its own stage invalid: {stage['invalid']}" if stage["invalid"] else "",
    )


def _aiperf(load: Load, place: Place) -> list[str]:
    level = (
        f"--concurrency {load.concurrency}"
        if load.concurrency
        else f"--request-rate {load.rate_per_s:g} --arrival-pattern constant"
    )
    command = (
        f"{place.program('aiperf')} profile --model {MODEL} --url {place.url} --endpoint-type completions "
        f"--tokenizer {place.tokenizer} --isl {INPUT_TOKENS} --osl {load.output_tokens} --use-legacy-max-tokens "
        f"--use-server-token-count {level} --benchmark-duration {load.duration_s:g} --no-server-metrics "
        "--no-gpu-telemetry --ui none --export-level summary --output-artifact-dir out"
    )
    return command.split() + (["--streaming"] if load.stream else [])


def _read_aiperf(load: Load, folder: Path) -> Reported:
    made = json.loads((folder / "out" / "profile_export_aiperf.json").read_text())
    ttft, errors = made.get("time_to_first_token") or {}, made.get("error_request_count") or {"avg": 0}
    return Reported(round(made["request_count"]["avg"]), round(errors["avg"]), ttft.get("p50"), ttft.get("p99"))


def _guidellm(load: Load, place: Place) -> list[str]:
    level = f"concurrent,streams={load.concurrency}" if load.concurrency else f"constant,rate={load.rate_per_s:g}"
    command = (
        f"{place.program('guidellm')} run --backend kind=openai_http,target={place.url},model={MODEL},"
        f"request_format=/v1/completions,http2=false,stream={str(load.stream).lower()} --profile kind={level} "
        f"--constraint kind=max_duration,seconds={load.duration_s:g} "
        f"--tokenizer kind=huggingface_auto,model={place.tokenizer} "
        f"--data kind=synthetic_text,prompt_tokens={INPUT_TOKENS},output_tokens={load.output_tokens} "
        "--metrics kind=generative,sample_size=0 --output kind=json,path=out.json --disable-console"
    )
    return command.split()


def _read_guidellm(load: Load, folder: Path) -> Reported:
    metrics: dict[str, Any] = json.loads((folder / "out.json").read_text())["benchmarks"][0]["metrics"]
    totals, ttft = metrics["request_totals"], metrics["time_to_first_token_ms"]["successful"]["percentiles"]
    p50, p99 = (ttft["p50"], ttft["p99"]) if load.stream else (None, None)
    return Reported(totals["successful"], totals["errored"], p50, p99)


VLLM_BENCH = """
from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
serve.main(parser.parse_args())
"""
"""What `vllm bench serve` does, without vLLM's other commands, which import the engine and its kernels."""


def _vllm(load: Load, place: Place) -> list[str]:
    script = place.folder / "bench.py"
    script.write_text(VLLM_BENCH)
    # Gamma gaps of this shape differ from constant ones by 0.1 %.
    level = (
        f"--max-concurrency {load.concurrency} --request-rate inf"
        if load.concurrency
        else f"--request-rate {load.rate_per_s:g} --burstiness 1000000"
    )
    api = (
        "--backend openai --endpoint /v1/completions --ignore-eos --percentile-metrics ttft"
        if load.stream
        else "--backend openai-embeddings --endpoint /v1/embeddings --percentile-metrics e2el"
    )
    command = (
        f"{place.python} {script} --base-url {place.url} --model {MODEL} --tokenizer {place.tokenizer} {api} "
        f"--dataset-name random --random-input-len {INPUT_TOKENS} --random-output-len {load.output_tokens} "
        f"--num-prompts {load.requests} {level} --metric-percentiles 50,99 --disable-tqdm "
        "--save-result --result-dir . --result-filename out.json"
    )
    return command.split()


def _read_vllm(load: Load, folder: Path) -> Reported:
    made = json.loads((folder / "out.json").read_text())
    failed = made["num_prompts"] - made["completed"]  # its result for embeddings has no count of failures
    return Reported(made["completed"], failed, made.get("p50_ttft_ms"), made.get("p99_ttft_ms"), 1)


VLLM_NEEDS = (
    "torch==2.14.0",
    "transformers<5.21.0,>=5.16.1",
    "fastapi[standard]<0.137.0,>=0.133.0",
    "xgrammar==0.2.8",
    "llguidance<1.8.0,>=1.7.0",
    "aiohttp",
    "cachetools",
    "cbor2",
    "cloudpickle",
    "einops",
    "msgspec",
    "numpy",
    "openai",
    "oss-harmony",
    "partial-json-parser",
    "pillow",
    "prometheus-client",
    "psutil",
    "py-cpuinfo",
    "pybase64",
    "pyzmq",
    "regex",
    "requests",
    "tqdm",
    "uvloop",
)
"""Those of vLLM 0.33's requirements, by its own pins, that its bench script imports."""

ALL = (
    Tool("holdfast", "holdfast", (), _holdfast, _read_holdfast, "this checkout; its percentiles leave out the warm-up"),
    Tool(
        "aiperf",
        "aiperf",
        (("aiperf==0.13.0",),),
        _aiperf,
        _read_aiperf,
        "tokens counted by the server's usage, no telemetry, no display, summary files only",
    ),
    Tool(
        "guidellm",
        "guidellm",
        (("guidellm==0.8.1",),),
        _guidellm,
        _read_guidellm,
        "its default of ten worker processes (one was slower in a trial), HTTP/1.1, no display, no request bodies kept",
    ),
    Tool(
        "vllm",
        "vllm",
        (("--no-deps", "vllm==0.33.0"), VLLM_NEEDS),
        _vllm,
        _read_vllm,
        "`vllm bench serve` from the wheel, with only those of its requirements that the script imports (torch among "
        "them); it always streams completions, so its short requests are embeddings; all prompts are made beforehand",
    ),
)
