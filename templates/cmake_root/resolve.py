"""Started by TorchScriptBuildResolve.cmake: searches for libtorch and writes the package Torch for it into a folder.

Exit code 0: done; 1: no libtorch will do, the reason is printed; 3: this Python cannot run torchscript-build.
Any Python may be asked, so these lines are understood by all of them.
"""

# ruff: noqa: UP031, UP036, RUF005, SIM112

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main(arguments):
    if sys.version_info < (3, 9):
        return give_up("Python %d.%d is too old" % sys.version_info[:2])
    try:
        run = import_main()
    except Exception as error:  # noqa: BLE001 - a broken installation, in whatever way; another Python's may be whole
        return give_up(describe(error))
    words, prefixes = [], []
    while arguments:
        word = arguments.pop(0)
        if word == "--prefix-path":
            prefixes.append(arguments.pop(0))
        elif word == "--libtorch":  # as a variable, which is how the build has named it
            os.environ["TORCHSCRIPT_BUILD_LIBTORCH"] = arguments.pop(0)
        else:
            words.append(word)
    prepare_variables(prefixes)
    try:
        return run(["cmake-dir"] + words)
    except Exception as error:  # noqa: BLE001 - the same
        return give_up(describe(error))


def import_main():
    try:
        from torchscript_build.__main__ import main
    except ImportError:
        # This Python has none; ours is beside this folder. After its own packages, so that theirs win.
        sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(HERE))))
        from torchscript_build.__main__ import main
    return main


def describe(error):
    return str(error) if isinstance(error, ImportError) else "%s: %s" % (type(error).__name__, error)


def give_up(reason):
    sys.stderr.write("%s\n" % reason)
    return 3


def prepare_variables(prefixes):
    """CMake's own search path counts like the variable of that name; this folder is no libtorch.

    Back ends put the interpreter's site-packages there, which isolation hides: they have their own place in the search.
    """
    import sysconfig

    hidden = set(map(os.path.realpath, [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")] + sys.path))
    paths = [p for p in prefixes if os.path.realpath(p) not in hidden and os.path.realpath(p) != HERE]
    if os.environ.get("CMAKE_PREFIX_PATH"):
        paths.append(os.environ["CMAKE_PREFIX_PATH"])
    if paths:
        os.environ["CMAKE_PREFIX_PATH"] = (";" if os.name == "nt" else ":").join(paths)
    if os.path.realpath(os.environ.get("Torch_DIR") or os.sep) == os.path.realpath(HERE):
        del os.environ["Torch_DIR"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
