"""What optimum-neuron's source says of the interface that we use, as a table beside this file.

    python tests/serving/hosted/neuron_interface.py OPTIMUM_NEURON.whl OPTIMUM.whl

reads names, parameters and attributes off the syntax trees of the two wheels (`pip download --no-deps
optimum-neuron==0.4.5 optimum==2.0.0`), of which nothing is run, and writes neuron_interface.json. Tests need the table
alone. A parameter that may be left out ends in =, and ** stands for any others.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).with_name("neuron_interface.json")
TRACED = ("from_pretrained", "forward", "save_pretrained")
WANTED = {
    "NeuronModelForSequenceClassification": TRACED,
    "NeuronModelForFeatureExtraction": TRACED,
    "NeuronSentenceTransformers": TRACED,
    "NeuronModelForImageClassification": TRACED,
    "NeuronModelForObjectDetection": TRACED,
    "NeuronYolosForObjectDetection": TRACED,
    "NeuronStableDiffusionPipeline": ("from_pretrained", "_from_pretrained", "__call__"),
    "NeuronStableDiffusionXLPipeline": ("from_pretrained", "_from_pretrained", "__call__"),
    "NeuronModelForCausalLM": ("from_pretrained", "get_neuron_config", "export", "save_pretrained"),
    "NxDModelForCausalLM": ("forward", "_from_pretrained", "_export", "save_pretrained"),
    "NxDNeuronConfig": ("__init__",),
}
FUNCTIONS = ("main_export", "normalize_diffusers_input_shapes", "prepare_sampling_params")


def main(wheels: list[str]) -> None:
    trees = {name: tree for wheel in wheels for name, tree in _trees(Path(wheel))}
    classes: dict[str, ast.ClassDef] = {}
    functions: dict[str, tuple[str, ast.FunctionDef]] = {}
    homes: dict[str, str] = {}
    for file, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, node)
                homes.setdefault(node.name, file)
            elif isinstance(node, ast.FunctionDef):
                functions.setdefault(node.name, (file, node))
    table = {
        "source": [{"wheel": Path(one).name, "sha256": _sha256(Path(one))} for one in wheels],
        "exported": {
            "optimum.neuron": _exported(trees["optimum/neuron/__init__.py"]),
            "optimum.exporters.neuron": _exported(trees["optimum/exporters/neuron/__init__.py"]),
        },
        "classes": {
            name: {
                "file": homes[name],
                "attributes": " ".join(sorted(_attributes(classes[name]))) if "__init__" in methods else "",
                "methods": {method: _parameters(_method(classes, name, method)) for method in methods},
            }
            for name, methods in WANTED.items()
        },
        "functions": {
            name: {"file": functions[name][0], "parameters": _parameters(functions[name][1])} for name in FUNCTIONS
        },
    }
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _trees(wheel: Path) -> Iterator[tuple[str, ast.Module]]:
    with zipfile.ZipFile(wheel) as opened:
        for name in sorted(opened.namelist()):
            if name.endswith(".py") and "/training/" not in name:
                yield name, ast.parse(opened.read(name))


def _method(classes: dict[str, ast.ClassDef], name: str, method: str) -> ast.FunctionDef:
    """As Python finds it, near enough: in the class, then in its bases from the left."""
    found = _find(classes, name, method)
    if found is None:
        raise SystemExit(f"no {name}.{method}")
    return found


def _find(classes: dict[str, ast.ClassDef], name: str, method: str) -> ast.FunctionDef | None:
    if name not in classes:
        return None
    for node in classes[name].body:
        if isinstance(node, ast.FunctionDef) and node.name == method:
            return node
    bases = (ast.unparse(base) for base in classes[name].bases)
    return next((found for base in bases if (found := _find(classes, base, method)) is not None), None)


def _parameters(node: ast.FunctionDef) -> str:
    given = node.args.args
    needed = len(given) - len(node.args.defaults)
    names = [one.arg if index < needed else f"{one.arg}=" for index, one in enumerate(given)]
    names = [name for name in names if name not in {"self", "cls"}]
    return " ".join([*names, *(["**"] if node.args.kwarg is not None else [])])


def _attributes(node: ast.ClassDef) -> set[str]:
    assigned = (one for one in ast.walk(node) if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store))
    return {one.attr for one in assigned if isinstance(one.value, ast.Name) and one.value.id == "self"}


def _exported(tree: ast.Module) -> list[str]:
    """Of the lazy module's `_import_structure`."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("_import_structure"):
            values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
            names |= {item for value in values for item in ast.literal_eval(value)}
    return sorted(names & {*WANTED, *FUNCTIONS})


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(sys.argv[1:])
