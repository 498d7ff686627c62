"""Everything that loads models in one run, apps and C libraries: what both need is made once, and for both."""

from __future__ import annotations

from collections.abc import Mapping

from torchscript_build.models.compare import compared_models
from torchscript_build.models.external import external_files
from torchscript_build.packaging.session import Session
from torchscript_build.settings.specs import TorchScriptApp

Loaders = Mapping[str, TorchScriptApp]
"""Name → an app, or a C library as one."""


def loaders_of(session: Session) -> Loaders:
    """Those of the settings; of a packaging build, those that are packaged."""
    spec = session.spec
    apps = spec.packaged_apps if session.packaged_only else spec.apps
    libraries = spec.packaged_libraries if session.packaged_only else spec.libraries
    return {loader.name: loader for loader in (*apps, *(library.like_app() for library in libraries))}


def models_of(loaders: Loaders) -> set[str]:
    """The models that they load."""
    return {model for loader in loaders.values() for model in loader.models}


def compared_of(loaders: Loaders, session: Session, *, run: bool, verify: bool) -> dict[str, list[str]]:
    """Name → the models that are compared with Python, for those that have some."""
    found = {name: compared_models(one, session.spec, run=run, verify=verify) for name, one in loaders.items()}
    return {name: models for name, models in found.items() if models}


def external_of(loaders: Loaders, session: Session) -> Mapping[str, list[str]]:
    """Name → the files of its operator libraries from elsewhere.

    :raises ModelError: a package or file is not there.
    """
    return external_files([one for one in session.plan.loaders if one.name in loaders], session.environment)


def by_model(loaders: Loaders, external: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Model name → the operator libraries from elsewhere that what loads it loads, too."""
    found: dict[str, list[str]] = {}
    for loader in loaders.values():
        for model in loader.models:
            files = found.setdefault(model, [])
            files += [file for file in external.get(loader.name, ()) if file not in files]
    return found
