"""What a recipe says → its files, in conda-build's format or in the newer one; pure but for reading templates."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from torchscript_build.conda.dependencies import Line
from torchscript_build.conda.facts import RecipeFacts
from torchscript_build.conda.forge import CUDA_FLAG
from torchscript_build.conda.selectors import Selector
from torchscript_build.generate.templates import FileSet, templates_dir

if TYPE_CHECKING:
    from jinja2 import Environment as JinjaEnvironment

COMPILERS = ("c_compiler_version", "cxx_compiler_version", "fortran_compiler_version")
ZIPPED = (*COMPILERS, "c_stdlib_version", "cuda_compiler_version")
"""As conda-forge's pinning has the group: one of other keys, or in another order, collides with it."""


def render_recipe(facts: RecipeFacts, *, v1: bool = False) -> FileSet:
    """The recipe's files: ``meta.yaml`` or ``recipe.yaml``, two scripts, ``conda_build_config.yaml``.

    A bundle has no script for Windows, where there are none.
    """
    names = {
        **({"recipe.yaml": "recipe.yaml"} if v1 else {"meta.yaml": "meta.yaml"}),
        "build.sh": "build.sh",
        **({} if facts.bundle else {("build.bat" if v1 else "bld.bat"): "bld.bat"}),
        "conda_build_config.yaml": "conda_build_config.yaml",
    }
    values = {name: getattr(facts, name) for name in facts.__dataclass_fields__}
    values.update(
        cuda_variants=facts.cuda_variants,
        cpu_variant=facts.cpu_variant,
        compilers=COMPILERS,
        compilers_only=CUDA_FLAG if facts.cpu_variant else "linux",
        zipped=ZIPPED,
    )
    return {name: _jinja().get_template(template).render(values).encode() for name, template in names.items()}


def _v0(line: Line) -> str:
    """A list's entry in meta.yaml: its selector stands at its end."""
    return line.text + _selector(line.only)


def _selector(selector: Selector | None) -> str:
    return f"  # [{selector.v0}]" if selector else ""


def _v1(line: Line, indent: int = 4) -> str:
    """A list's entry in recipe.yaml: its selector is an ``if`` before it."""
    text = line.v1 or line.text.replace("{{", "${{")
    return f"if: {line.only.v1}\n{' ' * indent}  then: {text}" if line.only else text


@functools.cache
def _jinja() -> JinjaEnvironment:
    """Recipes are templates themselves, so ours are written with other brackets."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir() / "conda"),
        undefined=jinja2.StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(v0=_v0, v1=_v1)
    return environment
