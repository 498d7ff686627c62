"""What sdist and build_py take of a project of ours: what building needs, and nothing that was built."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import Any

from torchscript_build.errors import SettingsError, TorchScriptBuildError
from torchscript_build.packaging.distribution import TEMPORARY, project_root, read_spec, translated


def make_sdist(base: type[Any]) -> type[Any]:
    """A subclass of this environment's sdist for a project with our settings."""

    class sdist(base):  # type: ignore[misc]
        """setuptools' sdist without what a build put into the source tree; it says what it cannot hold."""

        def run(self) -> None:
            try:
                _refuse_outside_files(self.distribution)
            except TorchScriptBuildError as error:
                raise translated(error) from error
            super().run()

        def make_release_tree(self, base_dir: str, files: list[str]) -> None:
            made = _made_files(self)
            left = set(fnmatch.filter(files, f"*.egg-info{os.sep}{TEMPORARY}"))
            super().make_release_tree(base_dir, [f for f in files if os.path.normpath(f) not in made and f not in left])

    return sdist


def make_build_py(base: type[Any]) -> type[Any]:
    """A subclass of this environment's build_py for a project with our settings."""

    class build_py(base):  # type: ignore[misc]
        """setuptools' build_py without C++ and CUDA sources, unless package_data asks for them."""

        def analyze_manifest(self) -> None:
            super().analyze_manifest()
            from torchscript_build.packaging.source_files import compiled_sources

            try:
                sources = compiled_sources(read_spec(self.distribution))
            except TorchScriptBuildError as error:
                raise translated(error) from error
            root = project_root(self.distribution)
            for package, files in self.manifest_files.items():
                self.manifest_files[package] = [f for f in files if os.path.relpath(f, root) not in sources]

    return build_py


def make_build_ext(base: type[Any]) -> type[Any]:
    """A subclass of this environment's build_ext for a project with our settings."""

    class build_ext(base):  # type: ignore[misc]
        """setuptools' build_ext; ``build_ext --inplace`` by hand builds ours in place as well."""

        def run(self) -> None:
            super().run()
            if self.inplace and "build_ext" in self.distribution.commands:
                ours = self.distribution.get_command_obj("build_ts_app")
                ours.inplace = True
                self.run_command("build_ts_app")

    return build_ext


def _refuse_outside_files(dist: Any) -> None:
    from torchscript_build.packaging.source_files import outside_files, source_files

    outside = outside_files(source_files(read_spec(dist), project_root(dist)))
    if outside:
        more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
        names = ", ".join(outside[:3]) + more
        cure = "build wheels (python -m build --wheel), or copy those sources into the project"
        raise SettingsError([f"an sdist holds the project's own folder only, and it would lack {names}: {cure}"])


def _made_files(command: Any) -> frozenset[str]:
    """What a build in place, or an editable install, has put among the sources."""
    made = []
    for name in ("build_ts_ops", "build_ts_app"):
        ours = command.get_finalized_command(name)
        made += [ours._in_source_tree(target) for target in ours._targets()]
    root = project_root(command.distribution)
    return frozenset(os.path.normpath(os.path.relpath(Path(p), root)) for p in made)
