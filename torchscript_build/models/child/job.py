"""One job from beginning to end: what is done is written down, and what fails is told with its cause."""

import importlib
import importlib.machinery
import json
import os
import sys
from typing import Any

from . import complaints, export, library, reference, used, verdict


def run(torch: Any, job: "dict[str, Any]") -> int:
    """Do a job; its report goes into ``job["report"]``.

    :returns: 0; 3: it failed, and the traceback has been printed.
    """
    sys.path[0:0] = job["python_path"]
    if job["overlay"]:
        sys.meta_path.insert(0, Overlay(job["overlay"]))
    said = complaints.collect_warnings(torch, job["root"])
    progress = Progress(job["report"])
    record = used.Record() if job["kind"] in ("export", "arguments") else None
    try:
        report = KINDS[job["kind"]](torch, job, progress)
    except complaints.Failed as failure:
        complaints.print_traceback(failure.error, torch, job["root"])
        report = {"problem": complaints.sentence(failure, torch, job["root"])}
    report["torch"] = str(torch.__version__)
    report["deprecations"] = said.deprecations
    report["used"] = {}
    if record is not None:
        report["used"] = record.collect(torch, job["site_dirs"], job["ignored"], job["root"])
    write(job["report"], report)
    return 3 if "problem" in report else 0


KINDS = {
    "export": export.export,
    "arguments": reference.make_arguments,
    "reference": reference.run_exported,
    "repeat": reference.repeat_exported,
    "eager": reference.run_eager,
    "library": library.call_library,
    "judge": verdict.judge,
}


class Progress:
    """Writes down what is being done, for when the process is killed."""

    def __init__(self, file: str) -> None:
        self.file = file

    def __call__(self, doing: str, failed: str) -> "complaints.Stage":
        """Begin something: what it is, and the words for when it fails."""
        write(self.file, {"doing": doing})
        return complaints.Stage(failed)


def write(file: str, report: "dict[str, Any]") -> None:
    with open(file, "w", encoding="utf-8") as stream:
        json.dump(report, stream)


class Overlay:
    """Finds the modules that the build generates for the project's packages, before they are staged anywhere."""

    def __init__(self, root: str) -> None:
        self.root = root

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """A generated submodule; the packages themselves are the project's."""
        parent, _, module = name.rpartition(".")
        folder = os.path.join(self.root, *parent.split("."))
        if not parent or not os.path.isdir(folder) or os.path.isdir(os.path.join(folder, module)):
            return None
        return importlib.machinery.PathFinder.find_spec(name, [folder])
