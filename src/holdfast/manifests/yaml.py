"""The only place that writes YAML."""

from __future__ import annotations

import re
from typing import Any

import yaml

# Kubernetes reads `1e3` and `0o17` as numbers where PyYAML sees plain strings: whatever may be a number is quoted.
_NUMBERLIKE = re.compile(r"[-+]?\.?[0-9][0-9a-fA-FoOxX_.:+-]*")

_UNFOLDED = 100_000
"""Characters of a line: a value stands on one line, for people who search and compare."""


class _Dumper(yaml.SafeDumper):
    """SafeDumper without anchors, with list items indented, with number-like strings quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _string(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if _NUMBERLIKE.fullmatch(text) else None
    lines = text.split("\n")
    if len(lines) > 1 and lines[0].strip() and all(line.isprintable() and line == line.rstrip() for line in lines):
        style = "|"  # A script, which people read line by line.
    elif not text.isprintable():
        # Only between double quotes does PyYAML escape all line breaks, those of Unicode too.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def dump(value: object, note: str = "") -> str:
    """`value` as one YAML document with sorted keys, under the lines of `note` as comments."""
    comment = "".join(f"# {line}\n" for line in note.splitlines())
    return comment + yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=_UNFOLDED)
