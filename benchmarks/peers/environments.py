"""A throwaway environment for each load generator, and a tokenizer for those that demand one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.tools import Tool

MADE = "made-by-load-generators"
"""A file in an environment that was installed to its end."""

TRAIN = """
import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

ends = ("n", "r", "st", "the", "ing")
words = [" the " + first + vowel + end for first in "bdfgklmnprstvz" for vowel in "aeiou" for end in ends]
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
tokenizer.train_from_iterator(words, trainer)
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", model_max_length=131072)
fast.save_pretrained(sys.argv[1])
"""
"""Byte-level BPE of a thousand tokens over made-up words: no model hub is asked for one."""


class CannotInstallError(Exception):
    """A tool is not to be had here; the message says why."""


def python_of(tool: Tool, folder: Path) -> Path:
    """The interpreter of a tool's environment, which is made when absent. Raises CannotInstallError."""
    if not tool.installs:
        return Path(sys.executable)
    home = folder / tool.name
    python = home / "bin" / "python"
    if not (home / MADE).exists():
        _call([sys.executable, "-m", "venv", "--clear", str(home)])
        for arguments in tool.installs:
            _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])
        (home / MADE).touch()
    return python


def version(tool: Tool, python: Path) -> str:
    """The version of the installed package."""
    code = f"from importlib.metadata import version; print(version({tool.package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def variables(tool: Tool) -> dict[str, str]:
    """The environment of its commands: this one, without what would mix in this one's packages or call home."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    if not tool.installs:
        kept |= {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    return kept | {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1"}


def train_tokenizer(python: Path, folder: Path) -> None:
    """Makes the tokenizer directory with the libraries of one tool's environment."""
    subprocess.run([python, "-c", TRAIN, folder], check=True, capture_output=True)


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise CannotInstallError(lines[0] if lines else f"exit code {done.returncode}")
