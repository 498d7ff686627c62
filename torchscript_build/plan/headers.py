"""torch's heaviest headers: which sources do with less of them, and where precompiling one pays.

One operator with ``torch/extension.h`` takes 22 s of CPU time (GCC 12, -O3, torch 2.13), 13 s of them for what every
operator needs, 5 s for Python's part and 4 s for ``torch::nn``, ``optim``, ``data`` and ``jit``. A precompiled header
of it takes 37 s and 790 MB to make, and then 14 s to use, since a compiler expands the templates again each time.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.plan.build_plan import BuildPlan, PlannedHeaders, PlannedOps
from torchscript_build.settings.specs import OpLibrary
from torchscript_build.toolchain.programs import parse_version

UMBRELLAS: Mapping[str, str] = {
    "torch/extension.h": "28 s and 1.6 GB a file; torch/library.h and the ATen/ops headers that are used take 8 s",
    "torch/torch.h": "22 s and 1.4 GB a file; torch/library.h and the ATen/ops headers that are used take 8 s",
}
"""The headers that have a lean form in templates/ops/lean, and what they cost whole: CPU time and memory of one
operator (GCC 12, -O2, torch 2.13)."""

PRECOMPILABLE = (*UMBRELLAS, "torch/script.h", "torch/all.h", "ATen/ATen.h", "torch/library.h")

LEAN_RELEASES = ((2, 1), (2, 16))
"""The releases that the lean forms are known to fit: from, and up to but not including."""

FILES_PER_PROCESSOR = 5
"""From how many files for each processor on a precompiled header is faster, the time to make it counted."""

WHOLE = "whole_headers.json"
"""The sources, in a build folder, that turned out to need torch's whole headers."""

_NEEDS_ALL = re.compile(
    r"\btorch\s*::\s*(nn|optim|data|jit|serialize|save|load|python|pickle_\w+|OrderedDict|ExpandingArray\w*|detail)\b"
    r"|\busing\s+namespace\s+(::\s*)?torch\b|\bnamespace\s+torch\b|\bnamespace\s+\w+\s*=\s*(::\s*)?torch\b"
    r"|\bTORCH_(MODULE|ARG)\w*"
)
_NEEDS_PYTHON = re.compile(r"\bpy\b|pybind|PYBIND|\bPy[A-Z_]\w*|\bTHP")
_MISSING = re.compile(
    r"\berror\b.*(not a member|no member|not (been )?declared|undeclared|does not name|unknown type|incomplete type"
    r"|no matching|No such file)"
)
"""What GCC, Clang and Microsoft's compiler say where a name is missing."""
_FAILED = re.compile(r"^FAILED: .*?([^/\\\s]+)\.(?:o|obj)\b|([^/\\\s]+)\.o\] Error", re.MULTILINE)
"""The source in what Ninja and make say of a compilation that failed."""
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w+)[ \t]*([^\n]*)", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class HeaderUse:
    """What one source includes of torch's heavy headers."""

    header: Optional[str] = None
    """The one of ``PRECOMPILABLE`` that comes first, if nothing before it could change what it means."""
    umbrella: Optional[str] = None
    """The one of ``UMBRELLAS`` that it includes."""
    lean: bool = False
    """It names nothing that the lean form of that lacks."""
    python: bool = False
    """It names something of Python's."""


def with_headers(plan: BuildPlan, specs: Iterable[OpLibrary], *, processors: int) -> BuildPlan:
    """The plan with what each operator library's sources get in the place of torch's heavy headers."""
    asked = {spec.name: spec for spec in specs}
    whole = set(system.read_json(Path(plan.build_dir, WHOLE)).get("sources", ()))
    release = parse_version(plan.libtorch.version)
    can_be_lean = LEAN_RELEASES[0] <= release < LEAN_RELEASES[1]
    launcher = plan.toolchain.launcher
    can_precompile = launcher is None or launcher.precompiles

    def decide(ops: PlannedOps) -> PlannedOps:
        spec = asked[ops.name]
        uses = {s: read_header_use(Path(s), ops.include_dirs) for s in ops.sources if not s.endswith((".cu", ".c"))}
        lean = spec.lean_headers and can_be_lean
        uses = {s: dataclasses.replace(u, lean=u.lean and lean and s not in whole) for s, u in uses.items()}
        if spec.precompiled_header == "auto":
            at_least = FILES_PER_PROCESSOR * processors if can_precompile else None
        else:
            at_least = 1 if spec.precompiled_header else None
        return dataclasses.replace(ops, headers=plan_headers(uses, ops.sources, precompile=at_least))

    return dataclasses.replace(plan, ops=tuple(map(decide, plan.ops)))


def plan_headers(uses: Mapping[str, HeaderUse], sources: Sequence[str], *, precompile: Optional[int]) -> PlannedHeaders:
    """The decision for one library; a precompiled header means the same in all sources that share it.

    :param precompile: how many sources must share a header for it to be precompiled; ``None``: never.
    """
    counts = Counter(use.header for use in uses.values() if use.header)
    header = min(counts, key=lambda h: (-counts[h], h)) if counts else None
    if header is None or precompile is None or counts[header] < precompile:
        lean = tuple(s for s, use in uses.items() if use.lean)
        return PlannedHeaders(
            lean=lean,
            python=tuple(s for s in lean if uses[s].python),
            heavy=tuple((s, use.umbrella) for s, use in uses.items() if use.umbrella),
        )
    sharing = tuple(s for s, use in uses.items() if use.header == header)
    all_lean = all(uses[s].lean for s in sharing)
    python = sharing if any(uses[s].python for s in sharing) else ()
    return PlannedHeaders(
        lean=sharing if all_lean else (),
        python=python if all_lean else (),
        precompiled=header,
        without_precompiled=tuple(s for s in sources if s not in sharing),
    )


def with_whole_headers(plan: BuildPlan, output: str) -> Optional[BuildPlan]:
    """After a failed build: the plan with torch's whole headers for the sources that a name was missing in.

    :param output: what the build tool printed.
    :returns: ``None`` where the lean headers cannot be the reason.
    """
    if not _MISSING.search(output):
        return None
    failed = {match[1] or match[2] for match in _FAILED.finditer(output)}

    def replaced(ops: PlannedOps) -> PlannedOps:
        headers = ops.headers
        whole = {s for s in headers.lean if os.path.basename(s) in failed}
        if whole and headers.precompiled:
            whole = set(headers.lean)
        lean, python = (tuple(s for s in part if s not in whole) for part in (headers.lean, headers.python))
        return dataclasses.replace(ops, headers=dataclasses.replace(headers, lean=lean, python=python))

    changed = dataclasses.replace(plan, ops=tuple(map(replaced, plan.ops)))
    return None if changed == plan else changed


def remember_whole_headers(lean: BuildPlan, built: BuildPlan) -> None:
    """Note which sources needed more than the lean headers, for the next build in the folder."""
    before = {s for o in lean.ops for s in o.headers.lean}
    after = {s for o in built.ops for s in o.headers.lean}
    file = Path(lean.build_dir, WHOLE)
    known = set(system.read_json(file).get("sources", ()))
    system.write_json(file, {"sources": sorted(known | (before - after))})


def read_header_use(source: Path, include_dirs: Sequence[str] = ()) -> HeaderUse:
    """Read one source and, for what they name, the headers of the project that it includes in quotes."""
    text = _read(source)
    if text is None or not any(header in text for header in PRECOMPILABLE):
        return HeaderUse()
    text = _COMMENT.sub(" ", text)
    header = None
    for directive, rest in _DIRECTIVE.findall(text):
        included = re.match(r'[<"]([^>"]+)[>"]', rest) if directive == "include" else None
        if included and included[1] in PRECOMPILABLE:
            header = included[1]
            break
        if not (included and rest.startswith("<")):
            break
    names = _whole_text(text, source, include_dirs)
    included = re.search(rf'^[ \t]*#[ \t]*include[ \t]*[<"]({"|".join(UMBRELLAS)})[>"]', text, re.MULTILINE)
    umbrella = included[1] if included else None
    lean = names is not None and umbrella is not None and not _NEEDS_ALL.search(names)
    return HeaderUse(header, umbrella, lean, python=names is None or _NEEDS_PYTHON.search(names) is not None)


def _whole_text(text: str, source: Path, include_dirs: Sequence[str]) -> Optional[str]:
    """A source with all that it includes in quotes; ``None`` if something of that cannot be found."""
    texts, seen, open_files = [text], {source}, [(source, text)]
    while open_files:
        file, content = open_files.pop()
        for name in re.findall(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', content, re.MULTILINE):
            places = [folder / name for folder in (file.parent, *map(Path, include_dirs))]
            found = next((p for p in places if p.is_file()), None)
            if found is None and name.startswith(("torch/", "ATen/", "c10/")):
                continue
            included = _read(found) if found else None
            if found is None or included is None:
                return None
            if found not in seen:
                seen.add(found)
                included = _COMMENT.sub(" ", included)
                texts.append(included)
                open_files.append((found, included))
    return "\n".join(texts)


def _read(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
