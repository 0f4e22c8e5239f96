"""`holdfast serve`'s flags: nonsense is one sentence each, before anything is loaded or bound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdfast.cli.serve import serve
from holdfast.model.errors import InputError


def refused(*flags: str) -> str:
    """What is said of them, by click or by holdfast."""
    result = CliRunner().invoke(serve, ["model", *flags])
    assert result.exit_code != 0
    if isinstance(result.exception, InputError):
        return str(result.exception)
    assert isinstance(result.exception, SystemExit)
    return result.output


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--device", "tpu"), "'tpu'"),
        (("--framework", "onnx"), "'onnx'"),
        (("--task", "speech"), "'speech'"),
        (("--dtype", "int3"), "'int3'"),
        (("--max-batch", "0"), "0"),
        (("--max-batch", "-1"), "-1"),
        (("--max-queued", "0"), "0"),
        (("--max-wait", "5"), "--max-wait"),
        (("--max-wait", "soon"), "--max-wait"),
        (("--max-body-mib", "nan"), "--max-body-mib"),
        (("--max-body-mib", "-3"), "--max-body-mib"),
        (("--max-tokens", "x"), "'x'"),
        (("--max-side", "4"), "--max-side"),
        (("--port", "70000"), "70000"),
        (("--host", "no such host", "--port", "0"), "--host"),
        (("--ssl-certfile", "a"), "--ssl-keyfile"),
        (("--ssl-certfile", "a", "--ssl-keyfile", "b"), "PEM"),
        (("--api-key-file", "/nowhere"), "--api-key-file"),
        (("--api-key-file", "/"), "--api-key-file"),
        (("--api-key-file", "/dev/null"), "no key"),
        (("--cloudwatch-region", "us-west-2"), "--cloudwatch-namespace"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(flags: tuple[str, ...], says: str) -> None:
    assert says in refused(*flags)


def test_a_page_cannot_be_asked_for_beside_keys(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\nsecret\n", encoding="utf-8")
    assert "--page" in refused("--api-key-file", str(keys), "--page")


def test_light_verbs_and_its_own_help_load_no_pytorch() -> None:
    code = (
        "import sys; from holdfast.cli.main import cli\n"
        "for verb in ('serve', 'emulate', 'plan'):\n"
        "    cli.main([verb, '--help'], standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'fastapi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'torch' else found(name, *rest)\n"
        "sys.argv = ['holdfast', 'serve', 'model']\n"
        "from holdfast.cli.main import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "pip install 'holdfast[serve]'" in result.stderr
