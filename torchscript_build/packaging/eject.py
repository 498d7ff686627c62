"""Writes a project's C++ part as a plain CMake project into a folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.build.pipeline import build_lock
from torchscript_build.errors import ScaffoldError
from torchscript_build.generate.ejected import render_ejected
from torchscript_build.models.export import prepare_models
from torchscript_build.models.forecast import read_archives
from torchscript_build.models.references import wishes_of
from torchscript_build.packaging.make_ops import build_ops
from torchscript_build.packaging.session import Session
from torchscript_build.packaging.source_files import source_files


def eject(session: Session, folder: Path) -> list[Path]:
    """Write the project, its sources and its models; models that a factory makes are made first.

    :returns: the files, in the order of their names.
    :raises ScaffoldError: the folder is not empty.
    :raises SettingsError: with all targets that a plain CMake project cannot have.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ScaffoldError(f"{folder} is not empty, and nothing is overwritten", cures=["name another folder"])
    session.refuse_series("an ejected project has one libtorch")
    plan = session.plan
    used = {m.name for app in plan.apps for m in app.models}
    if session.spec.ops and any(m.factory for m in plan.models if m.name in used):
        build_ops(session)  # factories may import the package
    with build_lock(plan):
        made = prepare_models(plan, session.environment, names=used, libraries={})
        plan = plan.with_wishes(wishes_of(plan, made, read_archives(plan, sorted(used))))
    files = render_ejected(plan)
    copies = {
        f"source/{name}": session.root / name
        for name in source_files(dataclasses.replace(session.spec, cmake=(), models=()), session.root)
    }
    copies.update({f"models/{m.file_name}": Path(m.file) for m in plan.models if m.name in used})
    for name, content in files.items():
        system.write_if_changed(folder / name, content)
    for name, source in copies.items():
        system.copy_if_changed(source, folder / name)
    if plan.cmake:
        names = ", ".join(p.name for p in plan.cmake)
        log.say(f"-- left out, since they are CMake projects already: {names}")
    return [folder / name for name in sorted({*files, *copies})]
