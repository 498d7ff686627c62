"""What goes wrong in the user's code, in words: warnings with the user's line, errors with their cause."""

import os
import re
import sys
import sysconfig
import traceback
import warnings
from typing import Any, Optional

HERE = os.path.dirname(os.path.abspath(__file__))
LONGEST = 12
"""Lines of an error's message; torch's own lists of backends have eighty."""
WIDEST = 300
"""Characters of the line that is quoted."""


NOTICE = re.compile(r"`?torch\.jit(\.\w+)*`?(\(\))? (is|was|will be|has been) (deprecated|not supported|removed|going)")
"""What torch.jit says of its own future, at every call; the words are those of 1.8 to 2.15."""


class Failed(Exception):
    """A stage of a job failed.

    :param words: the sentence's beginning: ``"factory demo.model:net failed"``.
    :param error: what the user's code or torch raised.
    """

    def __init__(self, words: str, error: BaseException) -> None:
        super().__init__(words)
        self.words = words
        self.error = error


class Stage:
    """``with Stage("factory demo.model:net failed"):`` turns whatever is raised into ``Failed``."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> None:
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, Failed):
            raise Failed(self.words, error) from error


def sentence(failure: Failed, torch: Any, root: str) -> str:
    """What failed and why, in one sentence of one line."""
    where = locate(failure.error.__traceback__, torch, root)
    told = f"{failure.words}: {_named(failure.error)}" + (f" ({where})" if where else "")
    cause = failure.error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    return _inside(told if cause is None else f"{told}, because of {_named(cause)}", root)


def _named(error: BaseException) -> str:
    message = str(error).strip().splitlines()
    return f"{type(error).__name__}: {_essence(message)}" if message else type(error).__name__


def _essence(lines: "list[str]") -> str:
    """The first line that says something, with the second where that is announced.

    The tracer prints whole tensors before it comes to its reason, on a line that begins with a colon.
    """
    said = [line.strip() for line in lines if line.strip()]
    reason = next((line for line in said[1:] if line.startswith(":")), "")
    first = said[0] if len(said[0]) <= WIDEST else said[0][:WIDEST] + "…"
    if reason:
        return f"{first.rstrip('…')} … {reason}"
    return first + (f" {said[1]}" if first.endswith(":") and len(said) > 1 else "")


def print_traceback(error: BaseException, torch: Any, root: str) -> None:
    """The traceback as Python would print it, with frames of the user's own code only and a message that can be read.

    Files of the project are named from its folder on. Nothing where that would be one line, which the error at the end
    says.
    """
    chain = _chain(error, torch)
    (frames, last), *before = chain
    if not frames and not before and len(_message(last)) <= 1:
        return
    told = []
    for frames, link in reversed(chain):
        head = ["Traceback (most recent call last):\n", *traceback.format_list(frames)] if frames else []
        told.append("".join(head) + "\n".join(_message(link)))
    print(_inside("\n\n".join(told), root), file=sys.stderr)


def _inside(text: str, root: str) -> str:
    """With the project's files named from its folder on, as Python and torch quote them."""
    return text.replace(f'"{os.path.join(root, "")}', '"')


def _chain(error: BaseException, torch: Any) -> "list[tuple[list[Any], BaseException]]":
    """The error and what led to it, the newest first, each with the user's frames; what torch met is left out."""
    found: list[tuple[list[Any], BaseException]] = []
    link: Optional[BaseException] = error
    while link is not None:
        frames = [f for f in traceback.extract_tb(link.__traceback__) if is_users(f.filename, torch)]
        if frames or link is error or link is found[-1][1].__cause__:
            found.append((frames, link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return found


def _message(error: BaseException) -> "list[str]":
    lines = "".join(traceback.format_exception_only(type(error), error)).rstrip().splitlines()
    return lines if len(lines) <= LONGEST else [*lines[:LONGEST], f"… ({len(lines)} lines)"]


def locate(trace: Any, torch: Any, root: str) -> Optional[str]:
    """The innermost line of a traceback that is the user's own: ``demo/model.py:12``."""
    found = None
    while trace is not None:
        if is_users(trace.tb_frame.f_code.co_filename, torch):
            found = f"{relative(trace.tb_frame.f_code.co_filename, root)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def is_users(file: str, torch: Any) -> bool:
    """Is a source file neither torch's, nor Python's, nor ours? Code that TorchScript runs has no file."""
    folders = (os.path.dirname(str(torch.__file__)), sysconfig.get_path("stdlib"))
    return os.path.isfile(file) and not _is_scaffolding(file) and not file.startswith(folders)


def relative(file: str, root: str) -> str:
    """A file below the project as one would type it there."""
    inside = os.path.relpath(file, root)
    return file if inside.startswith(os.pardir) else inside


def _is_scaffolding(file: str) -> bool:
    return file.startswith(HERE) or "importlib" in file


class Said:
    """What torch said about itself that is better told once, in the report."""

    def __init__(self) -> None:
        self.deprecations: list[str] = []


def collect_warnings(torch: Any, root: str) -> Said:
    """Keep torch.jit's deprecation warnings for the report; show TracerWarnings with the user's line, each line once.

    Every other warning is shown as usual.
    """
    said = Said()
    show = warnings.showwarning
    seen = set()

    def showwarning(message: Any, category: Any, filename: str, lineno: int, *rest: Any, **more: Any) -> None:
        text = str(message)
        if NOTICE.match(text):
            said.deprecations.append(text)
        elif category.__name__ == "TracerWarning":
            where = _users_line(torch, root) or f"{filename}:{lineno}"
            if (where, text) not in seen and not _is_printing():
                seen.add((where, text))
                place, _, line = where.partition(": ")
                shown = f"{place}: TracerWarning: {text.strip()}" + (f"\n    {line}" if line else "")
                print(shown, file=sys.stderr, flush=True)
        else:
            show(message, category, filename, lineno, *rest, **more)

    # DeprecationWarnings from torch 2.10 on, FutureWarnings from 2.14 on; the next release may choose again.
    warnings.filterwarnings("always", message=NOTICE.pattern, category=Warning)
    tracer_warning = getattr(getattr(torch, "jit", None), "TracerWarning", None)
    if tracer_warning is not None:
        warnings.filterwarnings("always", category=tracer_warning)
    warnings.showwarning = showwarning
    return said


def _is_printing() -> bool:
    """Is torch about to write a tensor as text, for a message of its own?"""
    frame: Any = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.endswith("_tensor_str.py"):
        frame = frame.f_back
    return frame is not None


def _users_line(torch: Any, root: str) -> Optional[str]:
    """The innermost line of the running code that is the user's own: ``demo/model.py:12: if x.sum() > 0:``."""
    import linecache

    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if is_users(file, torch):
            text = linecache.getline(file, frame.f_lineno).strip()
            return f"{relative(file, root)}:{frame.f_lineno}: {text}"
        frame = frame.f_back
    return None
