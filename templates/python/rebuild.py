def _build_again():
    """Build the libraries again where a source is newer: this is an editable installation with editable-rebuild."""
    import importlib.util
    import subprocess
    import sys
    import warnings

    def seconds(path):
        try:
            return os.stat(path).st_mtime
        except OSError:
            return 0.0

    # A build imports the package, too, and knows what it does.
    if os.environ.get("TORCHSCRIPT_BUILD_RUNNING") or not os.path.isfile(os.path.join(PROJECT, "pyproject.toml")):
        return
    here = os.path.dirname(os.path.abspath(__file__))
    built = min([seconds(os.path.join(here, path)) for build in BUILDS for path, _ in build["libraries"]], default=0.0)
    newer = [s for s in SOURCES if seconds(os.path.join(PROJECT, s)) > max(built, seconds(REBUILT))]
    if not newer:
        return
    what = f"{PACKAGE}: {newer[0]} is newer than the operator libraries"
    if importlib.util.find_spec("torchscript_build") is None:
        warnings.warn(f"{what}, and torchscript-build is not here to build them again", stacklevel=2)
        return
    code = "import sys; from torchscript_build.packaging.standalone import run_commands as r; r(sys.argv[1:])"
    command = [sys.executable, "-c", code, "build_ts_ops", *OPTIONS]
    tools = subprocess.run([*command, "--dry-run"], cwd=PROJECT, capture_output=True, encoding="utf-8", check=False)
    if tools.returncode != 0:
        warnings.warn(f"{what}, and they cannot be built again: {tools.stderr.strip()}", stacklevel=2)
        return
    print(f"{what}: building them again", file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise ImportError(f"{what}, and building them again failed:\n{done.stderr.strip()}")
    with open(REBUILT, "w"):
        pass


PROJECT = "/project"  # replaced when the package is built, like the next three
SOURCES = ()
OPTIONS = ()
REBUILT = ""
_build_again()
