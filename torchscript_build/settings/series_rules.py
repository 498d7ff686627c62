"""What must hold in a project that is built for several series of torch into one wheel."""

from __future__ import annotations

import re

from torchscript_build.settings.rules import where_of
from torchscript_build.settings.specs import ProjectSpec

_ENTRY = re.compile(r"(\d{1,3}\.\d{1,3})(\.\d{1,3}(\+[a-z0-9]+([._-][a-z0-9]+)*)?)?", re.ASCII)


def check_series(spec: ProjectSpec, problems: list[str]) -> None:
    """Check ``series``, and that every part of the wheel is one that can be there several times.

    A loader or launcher of ours chooses between its files; what is found otherwise has one place only.
    """
    entries = [_ENTRY.fullmatch(entry) for entry in spec.options.series]
    for entry, match in zip(spec.options.series, entries):
        if match is None:
            problems.append(f'series: {entry!r} is no series of torch; write "2.13", or a build: "2.13.0+cpu"')
    series = [match[1] for match in entries if match]
    problems += [f"series: {one} is named twice" for one in dict.fromkeys(series) if series.count(one) > 1]
    for key, value in (("libtorch", spec.options.libtorch), ("libtorch-version", spec.options.libtorch_version)):
        if value and spec.libtorch_named_by != "--libtorch":
            problems.append(f"series: give series or {key}: each series has a libtorch of its own")
    if spec.options.pin == "exact":
        problems.append('series: pin = "exact" names one release; what is built for several requires their series')
    for ops in spec.packaged_ops:
        if ops.abi == "stable":
            problems.append(
                f'{where_of(ops)}: abi = "stable" is for every torch from its torch-target on: leave series out, or '
                'abi = "stable"'
            )
        elif ops.python_module:
            problems.append(
                f"{where_of(ops)}: a python-module is imported by Python itself, which knows of no series: build a "
                "wheel for each series, without series"
            )
    one = "is put into one place, whatever torch is there: build a wheel for each series, without series"
    problems += [f"{where_of(c)}: what it installs {one}" for c in spec.packaged_cmake]
    problems += [f"{where_of(c)}: it {one}" for c in spec.packaged_libraries]
    packages = {m.name for m in spec.models if m.is_package}
    for app in spec.packaged_apps:
        if packages & set(app.models):
            name = next(m for m in app.models if m in packages)
            problems.append(f"{where_of(app)}: model {name!r} is a .pt2, which is compiled for one series of torch")
        if isinstance(app.external_ops, dict) and app.external_ops:
            problems.append(f"{where_of(app)}: external-ops: a library from elsewhere is for one series of torch")
