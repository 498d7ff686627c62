"""What the pages show of a terminal: each command and each message, and who makes sure that it is true.

Every fenced block of a console, of shell commands or of plain text, on every page of the documentation and in every
README, is taken apart into what is typed and what is printed. Each of these is in ``ACCOUNTS``: produced by a test,
which is named, or done by hand, with the reason. What tests/docs/test_shown.py makes itself it takes from the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Union

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("**/README.md")),
]
_TERMINAL = ("console", "sh", "text", "")
"""Languages of blocks that show one, or a part of what was printed."""


@dataclass(frozen=True)
class Shown:
    """A command with what it prints, or a message alone."""

    page: str
    """From the checkout."""
    command: str
    """Empty for a message."""
    output: str = ""

    @property
    def key(self) -> str:
        return self.command or self.output.partition("\n")[0]


@dataclass(frozen=True)
class By:
    """A test produces it."""

    test: str
    """``tests/…/test_file.py::test_name``"""
    words: tuple[str, ...] = ()
    """What that test asks for in so many words, and the page shows."""


@dataclass(frozen=True)
class ByHand:
    """No test of a tier can."""

    reason: str


def shown_on(page: Path) -> list[Shown]:
    """What a page shows, in its order."""
    name = page.relative_to(ROOT).as_posix()
    found = []
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", without_generated(page), re.M | re.S):
        if language not in _TERMINAL:
            continue
        if language == "console":
            for step in re.split(r"^\$ ", text, flags=re.M)[1:]:
                command, _, output = step.partition("\n")
                found.append(Shown(name, without_comment(command), output))
        elif language == "sh" or text.startswith(_STARTS):
            found += [Shown(name, without_comment(line)) for line in text.splitlines()]
        else:
            found.append(Shown(name, "", text))
    return found


def without_generated(page: Path) -> str:
    """A page without what a program writes into it: recordings of terminals, and figures of benchmarks."""
    text = page.read_text(encoding="utf-8")
    for what in ("recordings", "benchmark"):
        text = re.sub(rf"<!-- {what}:begin -->.*<!-- {what}:end -->", "", text, flags=re.DOTALL)
    return text


_STARTS = ("python ", "pip ", "bash ")


def without_comment(command: str) -> str:
    return re.sub(r"\s+# .*", "", command)


def one_shown(page: str, key: str) -> Shown:
    """The one on a page whose command or first line begins like this."""
    (found,) = (shown for shown in shown_on(ROOT / page) if shown.key.startswith(key))
    return found


EXPECTED = "$ "
"""What stands in an example's expected_output.txt, the whole of which its README shows."""
_EXAMPLES = "tests/examples/test_examples.py::test_"
_README = "tests/docs/test_readme.py::test_"
_C_LIBRARY = "tests/examples/test_c_library.py::test_"
_HERE = "tests/docs/test_shown.py::test_"
_RUN = By(_EXAMPLES + "build_runs_the_program_and_agrees_with_python", ("--run",))
_DOWNLOADS = ByHand("it downloads gigabytes")
Account = Union[By, ByHand]

ACCOUNTS: Mapping[str, Mapping[str, Account]] = {
    "README.md": {
        'python -m pip install -e ".[demo]"': By(
            _EXAMPLES + "build_runs_the_program_and_agrees_with_python", ("--run",)
        ),
        'python -m pip install -e ".[test]"': By(_README + "each_of_the_two_commands_is_one_line"),
        "pip wheel": By(_README + "sixty_seconds_are_all_that_it_takes"),
        "pip install": By(_README + "sixty_seconds_are_all_that_it_takes"),
        "my-app": By(_README + "sixty_seconds_are_all_that_it_takes"),
        "cmake -DTorch_DIR": By(_HERE + "an_existing_cmake_project"),
    },
    "CONTRIBUTING.md": {
        "python -m venv": ByHand("what .ci/run does, word by word but for the folder"),
        "python -m pip install": ByHand("what .ci/run does, word by word but for the folder"),
        "python -m pytest": By(_HERE + "pytest_is_given_markers_that_exist"),
        "python -m tests.": By(_HERE + "modules_of_tests_explain_themselves"),
        "bash .ci/run": ByHand("it runs the tests"),
    },
    "docs/back-ends.md": {
        "torchscript-build check-wheel": By(
            "tests/packaging/test_check_wheel.py::test_the_command_prints_what_to_type_and_fails", ("check-wheel",)
        ),
        "c++ main.cpp": By(_HERE + "flags_for_a_compiler"),
        "torchscript-build flags": By(_HERE + "flags_for_a_compiler"),
        "export PKG_CONFIG_PATH": By(_HERE + "flags_for_a_compiler"),
    },
    "docs/caches.md": {
        "ccache": By(_HERE + "ccache_counts_what_it_had"),
        "export DISTCC_HOSTS": ByHand("it names other machines"),
        "export CCACHE_REMOTE_STORAGE": By(
            "tests/toolchain/test_launchers.py::test_a_cold_machine_takes_all_from_a_folder_that_it_can_only_read",
            ("CCACHE_REMOTE_STORAGE",),
        ),
        "export SCCACHE_BUCKET": ByHand("it names a storage elsewhere"),
        "TORCHSCRIPT_BUILD_LAUNCHER=distcc": By(
            "tests/build/test_distributed.py::test_the_other_machine_compiles_all_eight_sources", ("build_ts_ops",)
        ),
        "CCACHE_PREFIX=distcc": By(
            "tests/build/test_distributed.py::test_ccache_asks_the_other_machine_for_what_it_lacks", ("CCACHE_PREFIX",)
        ),
    },
    "docs/cmake-projects.md": {"cmake -DTorch_DIR": By(_HERE + "an_existing_cmake_project")},
    "docs/cuda.md": {"pip install nvidia-cuda-nvcc": _DOWNLOADS},
    "docs/debugging.md": {
        "python setup.py build_ts_ops --inplace --build-type Debug": By(_HERE + "builds_of_another_type"),
        "gdb": By(_HERE + "gdb_stops_where_it_is_told"),
        "-- to load what was built with sanitize": By(_HERE + "the_line_for_sanitizers"),
        "python setup.py build_ts_app --build-type RelWithDebInfo": By(_HERE + "builds_of_another_type"),
        "perf record": By(_HERE + "builds_of_another_type"),
        "perf report": ByHand("it reads what perf has recorded, which asks for rights"),
    },
    "docs/hand-over.md": {
        "torchscript-build bundle": By(
            "tests/packaging/test_bundling.py::test_the_words_for_setup_py", ("--strip", "--format", "--verify")
        ),
        "my-app: error: this machine has glibc": By(_HERE + "a_bundle_on_too_old_a_system"),
        "error: my-app does not run from the bundle": By(_HERE + "a_bundle_that_lacks_a_library"),
    },
    "docs/inspect.md": {"torchscript-build inspect": By(_HERE + "inspect")},
    "docs/libtorch.md": {
        "torchscript-build fetch": _DOWNLOADS,
        "python setup.py build_ts_app --libtorch fetched:2.6.0": By(
            "tests/libtorch/test_libtorch_search.py::test_a_fetched_libtorch_is_named_by_its_version"
        ),
        "torchscript-build matrix": By(_HERE + "matrix"),
    },
    "docs/migrating-*.md": {"": By("tests/docs/test_migrating.py::test_before_and_after_print_the_same")},
    "docs/models.md": {"-- my-app: largest differences": By(_HERE + "the_table_of_differences")},
    "docs/publishing.md": {
        "torchscript-build fetch": _DOWNLOADS,
        "torchscript-build matrix": By(_HERE + "matrix"),
        "pip wheel": By(
            "tests/packaging/test_series.py::test_one_wheel_runs_with_each_of_its_series", ("programs for torch",)
        ),
        "auditwheel repair": By(_EXAMPLES + "auditwheel_keeps_torch_out_of_a_wheel", ("auditwheel-args",)),
        "torchscript-build check-wheel": By(
            "tests/packaging/test_check_wheel.py::test_the_command_prints_what_to_type_and_fails", ("check-wheel",)
        ),
    },
    "docs/reliability.md": {"python -m tests.": By(_HERE + "modules_of_tests_explain_themselves")},
    "docs/speed.md": {"python -m tests.": By(_HERE + "modules_of_tests_explain_themselves")},
    "docs/stable-abi.md": {"torchscript-build audit-abi": By(_HERE + "options_exist")},
    "docs/to-torch-export.md": {"torchscript-build migrate": By(_HERE + "options_exist")},
    "docs/troubleshooting.md": {"torchscript-build doctor": By(_HERE + "doctor")},
    "docs/two-engines.md": {
        "my-app: error: net.pt2 was compiled for a processor with": By(
            "tests/runner/test_packages.py::test_a_package_for_a_processor_with_more",
            (
                ".pt2 was compiled for a processor with ",
                "hint: export and compile it again for this machine, or with cpu = ",
            ),
        ),
    },
    "examples/**/README.md": {
        "pip install torchscript-build": _DOWNLOADS,
        "python setup.py build_ts_app --run": By(
            _EXAMPLES + "build_runs_the_program_and_agrees_with_python", ("--run",)
        ),
        "pip install --no-build-isolation .": By(_EXAMPLES + "installed_program_prints_what_the_readme_says"),
        "python -m pytest tests": By(_EXAMPLES + "installed_program_passes_the_tests_of_the_example"),
        EXPECTED: By(_EXAMPLES + "installed_program_prints_what_the_readme_says"),
    },
    "examples/c_library/README.md": {
        "python setup.py build_ts_app --prefix out": By(_C_LIBRARY + "c", ("--prefix",)),
        "export PKG_CONFIG_PATH": By(_C_LIBRARY + "c", ("PKG_CONFIG_PATH", "LD_LIBRARY_PATH")),
        "./client": By(_C_LIBRARY + "readme_shows_what_all_clients_print"),
    },
    "examples/conda_*/README.md": {
        "conda ": ByHand("conda-build is not on the index: pytest -m conda"),
        "CF_CUDA_ENABLED=True conda build": ByHand("conda-build is not on the index: pytest -m conda"),
        "smooth-series": ByHand("conda-build is not on the index: pytest -m conda"),
    },
    "examples/cuda_op/README.md": {"trend --device cuda": ByHand("it takes a GPU")},
    "examples/existing_cmake/README.md": {
        "cmake -S sdk": By(_HERE + "an_example_by_hand"),
        "cmake --build build/by-hand": ByHand("what pip install has compiled, again"),
    },
    "examples/stable_op/README.md": {
        "pip wheel": By("tests/examples/test_stable_op.py::test_the_wheel_passes_its_tests"),
        "torchscript-build audit-abi": By("tests/examples/test_stable_op.py::test_readme_shows_what_the_audit_says"),
        "pip install": By("tests/examples/test_stable_op.py::test_the_wheel_passes_its_tests"),
    },
}
"""Page (or pattern of pages) → how a command or a message begins → its account; the longest beginning counts."""


def expected_of(page: str) -> str:
    """What an example's program is expected to print, with the commands."""
    file = (ROOT / page).with_name("expected_output.txt")
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def account_of(shown: Shown) -> tuple[str, str]:
    """The page and the beginning in ``ACCOUNTS``; those of the page itself come before a pattern's.

    :raises LookupError: nobody accounts for it.
    """
    if f"$ {shown.command}\n{shown.output}" in expected_of(shown.page):
        return "examples/**/README.md", EXPECTED
    for pattern in sorted(ACCOUNTS, key=lambda p: ("*" in p, -len(p))):
        starts = [start for start in ACCOUNTS[pattern] if shown.key.startswith(start)]
        if fnmatch(shown.page, pattern.replace("**", "*")) and starts:
            return pattern, max(starts, key=len)
    raise LookupError(f"{shown.page}: {shown.key}")
