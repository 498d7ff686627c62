"""Builds a recipe with rattler-build, or installs packages with rattler: ``rattler_child.py REQUEST.json``.

Run as a child process: py-rattler can abort when the interpreter ends, after its work is done. The answer is a file.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any


class Log:
    """Prints what the build says; without it a failing build shows one line and no log."""

    def on_log(self, event: Any) -> None:
        print(f"{event.level}: {event.message}" if event.level != "info" else event.message, flush=True)

    def on_download_start(self, event: Any) -> None: ...

    def on_download_progress(self, event: Any) -> None: ...

    def on_download_complete(self, event: Any) -> None: ...

    def on_build_step(self, event: Any) -> None: ...


def build(request: dict[str, Any]) -> dict[str, Any]:
    """Build one recipe and run its tests."""
    from rattler_build import Stage0Recipe, VariantConfig
    from rattler_build.tool_config import ToolConfiguration

    recipe = Stage0Recipe.from_dict(request["recipe"], recipe_dir=request["recipe_dir"])
    [variant] = recipe.render(VariantConfig({key: [value] for key, value in request["variant"].items()}))
    result = variant.run_build(
        tool_config=ToolConfiguration(test_strategy=request["test_strategy"]),
        output_dir=request["output"],
        channels=request["channels"],
        package_format="conda:1",
        progress_callback=Log(),
    )
    return {"packages": [str(path) for path in result.packages]}


def render(request: dict[str, Any]) -> dict[str, Any]:
    """All variants of a recipe.yaml with the conda_build_config.yaml beside it."""
    from rattler_build import JinjaConfig, PlatformConfig, Stage0Recipe, VariantConfig

    os.environ["CF_CUDA_ENABLED"] = str(request["cuda"])
    recipe = Path(request["recipe"])
    linux = JinjaConfig(platform=PlatformConfig(target_platform="linux-64"))
    config = VariantConfig.from_conda_build_config(recipe.with_name("conda_build_config.yaml"), linux)
    variants = VariantConfig({**config.to_dict(), **request["values"]}, zip_keys=config.zip_keys)
    rendered = [v.recipe.to_dict() for v in Stage0Recipe.from_file(recipe).render(variants)]
    return {"recipes": json.loads(json.dumps(rendered))}


def install(request: dict[str, Any]) -> dict[str, Any]:
    """Install packages into a new prefix."""
    import rattler

    async def solve_and_install() -> list[str]:
        records = await rattler.solve(
            sources=request["channels"],
            specs=request["specs"],
            platforms=["linux-64", "noarch"],
            virtual_packages=rattler.VirtualPackage.detect(),
        )
        await rattler.install(records, target_prefix=request["prefix"], show_progress=False)
        return [record.name.normalized for record in records]

    return {"installed": asyncio.run(solve_and_install())}


if __name__ == "__main__":
    file = Path(sys.argv[1])
    task = json.loads(file.read_text(encoding="utf-8"))
    try:
        answer = {"build": build, "install": install, "render": render}[task["do"]](task)
    except Exception as problem:  # noqa: BLE001 - whatever it was, the parent shows it
        answer = {"error": f"{type(problem).__name__}: {problem}"}
    file.with_suffix(".answer.json").write_text(json.dumps(answer), encoding="utf-8")
