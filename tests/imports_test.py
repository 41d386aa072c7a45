"""Imports fall downhill: any package can be read knowing only what lies below it."""

import ast
import pathlib
import subprocess
import sys

import pytest

import difftrack_jax

ROOT = pathlib.Path(difftrack_jax.__file__).resolve().parent

# A row may import rows below it; neighbours in a row never import each other.
MAP = [
    {"main"},
    {"runners"},
    {"tracking", "generation", "visualize"},
    {"backbones", "detectors"},
    {"models", "diffusion", "data", "metrics", "checkpoints", "parallel"},
    {"ops", "restricted_pickle"},
    {"typing", "errors"},
]
LEVEL = {name: level for level, row in enumerate(MAP) for name in row}


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(path: pathlib.Path) -> set[str]:
    """Our own modules a file imports anywhere in it: at the top, inside functions, under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full, from difftrack_jax..."
            # `from package import name` is an import of package.name where that is a module.
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name.split(".")[0] == "difftrack_jax"}


GRAPH = {name: imports(path) for name, path in MODULES.items()}


def package(module: str) -> str:
    """The part of the map a module belongs to; the package's own front door is ''."""
    return (module + ".").split(".")[1]


def test_every_module_has_its_place_on_the_map():
    assert {package(module) for module in MODULES} - {""} <= LEVEL.keys()


@pytest.mark.parametrize("module", sorted(name for name in MODULES if package(name)))
def test_imports_fall_downhill(module):
    here = package(module)
    for target in GRAPH[module]:
        there = package(target)
        # The front door has the version, and opens onto nothing by itself.
        assert not there or there == here or LEVEL[there] > LEVEL[here], f"{module} imports {target}"


def test_no_file_imports_itself_through_others():
    done = set()

    def walk(module, path):
        assert module not in path, " > ".join([*path[path.index(module) :], module])
        if module not in done:
            for target in sorted(GRAPH.get(module, ())):
                walk(target, [*path, module])
            done.add(module)

    for module in MODULES:
        walk(module, [])


def test_ruff_finds_nothing():
    ruff = pathlib.Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed beside this interpreter")
    run = subprocess.run([ruff, "check", "."], cwd=ROOT.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
