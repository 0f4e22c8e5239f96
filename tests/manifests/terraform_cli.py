"""The terraform binary, offline: the AWS provider comes from a mirror on this machine, or there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import holdfast.manifests.terraform

ACCOUNT = Path(holdfast.manifests.terraform.__file__).parent / "account"

_TERRAFORM = shutil.which("terraform")
_MIRRORS = (Path("/opt/tf-plugins"), Path.home() / ".terraform.d" / "plugins")
_AWS = Path("registry.terraform.io/hashicorp/aws")

NO_TERRAFORM = "terraform is not on this machine: HCL is parsed, and nothing more"
NO_PROVIDER = "no mirror with the AWS provider is on this machine: HCL is parsed, and nothing more"


def is_there() -> bool:
    return _TERRAFORM is not None


def mirror() -> Path | None:
    """A folder with the AWS provider, as `terraform providers mirror` lays it out; None where there is none."""
    return next((folder for folder in _folders() if (folder / _AWS).is_dir()), None)


def run(folder: Path, *arguments: str, code: int | None = 0, timeout_s: float = 60) -> str:
    """What terraform says to `arguments` in `folder`, without anyone's credentials, settings or network."""
    assert _TERRAFORM is not None
    settings = folder / "cli.tfrc"
    found = mirror()
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{found}"\n  }}\n}}\n' if found else ""
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TF_CLI_CONFIG_FILE": str(settings),
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(
        [_TERRAFORM, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s
    )
    said = done.stdout + done.stderr
    assert code is None or done.returncode == code, said
    return said


def _folders() -> Iterator[Path]:
    configured = Path(os.environ.get("TF_CLI_CONFIG_FILE", ""))
    if configured.is_file():
        yield from (Path(path) for path in re.findall(r'path\s*=\s*"([^"]+)"', configured.read_text(encoding="utf-8")))
    yield from _MIRRORS
