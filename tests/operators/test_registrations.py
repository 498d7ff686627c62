"""What the text of C++ sources tells of the operators that they register."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support import write

from torchscript_build.operators.registrations import (
    Registrations,
    find_conflicts,
    parse_registrations,
    read_registrations,
)

BASIC = """\
#include <torch/library.h>
TORCH_LIBRARY(my_ops, m) {
  m.def("add(Tensor a, Tensor b) -> Tensor");
  m.def("my_ops::sub.out(Tensor a) -> Tensor", &sub);
  m.def("mul", mul);
  m.class_<Stack>("Stack").def("push", &Stack::push);
}
TORCH_LIBRARY_IMPL(my_ops, CPU, m) { m.impl("add", add); }
"""


def test_a_library_and_its_operators() -> None:
    found = parse_registrations(BASIC)
    assert found.owners == ("my_ops",)
    assert found.fragments == ()
    assert found.namespaces == {"my_ops"}
    assert found.operators[:3] == ("my_ops::add", "my_ops::sub.out", "my_ops::mul")


def test_methods_of_classes_are_no_operators() -> None:
    assert "my_ops::push" not in parse_registrations(BASIC).operators


def test_fragments_and_implementations_own_nothing() -> None:
    found = parse_registrations('TORCH_LIBRARY_FRAGMENT(a, m) { m.def("x", x); }\nTORCH_LIBRARY_IMPL(b, CUDA, m) {}\n')
    assert (found.owners, found.fragments, found.operators) == ((), ("a",), ("a::x",))


def test_operators_belong_to_the_block_that_they_stand_in() -> None:
    found = parse_registrations(
        'TORCH_LIBRARY(a, m) { if (x) { m.def("one", f); } m.def("two", f); }\n'
        'void other(M& m) { m.def("no", f); }\nTORCH_LIBRARY(b, m) { m.def("one", f); }\n'
    )
    assert found.operators == ("a::one", "a::two", "b::one")


@pytest.mark.parametrize(
    "comment",
    ['// TORCH_LIBRARY(x, m) { m.def("x", f); }', '/* TORCH_LIBRARY(x, m)\n{ m.def("x", f); } */', '// say "hi'],
)
def test_comments_count_for_nothing(comment: str) -> None:
    found = parse_registrations(f'{comment}\nTORCH_LIBRARY(a, m) {{\n{comment}\nm.def("y", f);\n}}\n')
    assert (found.owners, found.operators) == (("a",), ("a::y",))


def test_strings_hide_no_code() -> None:
    found = parse_registrations('auto s = "// not a comment"; TORCH_LIBRARY(a, m) { m.def("x", f); }\n')
    assert found.operators == ("a::x",)


def test_text_in_strings_is_no_code() -> None:
    assert parse_registrations('auto s = "TORCH_LIBRARY(a, m) {}";\n').owners == ()


def test_braces_in_strings_close_nothing() -> None:
    found = parse_registrations('TORCH_LIBRARY(a, m) { m.doc("}"); m.def("x", f); }\nvoid g() { m.def("y", f); }')
    assert found.operators == ("a::x",)


def test_schemas_in_raw_strings() -> None:
    found = parse_registrations('TORCH_LIBRARY(a, m) { m.def(R"SIG(\n  x(Tensor t,\n str s="}") -> Tensor)SIG"); }\n')
    assert found.operators == ("a::x",)


def test_a_raw_string_in_a_comment_hides_no_code() -> None:
    found = parse_registrations('// R"( is how they begin\nTORCH_LIBRARY(a, m) { m.def(R"(x() -> ())"); }\n')
    assert found.owners == ("a",)


def test_a_macros_definition_registers_nothing() -> None:
    found = parse_registrations(
        '#define MINE(ns) \\\n  TORCH_LIBRARY(ns, m) { m.def("x", f); }\nTORCH_LIBRARY(a, m) {}\n'
    )
    assert found.owners == ("a",)


def test_a_selective_schema() -> None:
    found = parse_registrations('TORCH_LIBRARY(a, m) { m.def(TORCH_SELECTIVE_SCHEMA("a::x(Tensor t) -> Tensor")); }')
    assert found.operators == ("a::x",)


def test_white_space_in_odd_places() -> None:
    found = parse_registrations('TORCH_LIBRARY (\n  a ,\n  m )\n{\n  m . def ( "x(Tensor t) -> Tensor" ) ;\n}\n')
    assert (found.owners, found.operators) == (("a",), ("a::x",))


def test_an_unfinished_file_is_left_to_the_compiler() -> None:
    assert parse_registrations('TORCH_LIBRARY(a, m) { m.def("x", f);').owners == ("a",)
    assert parse_registrations("TORCH_LIBRARY(a, m").owners == ("a",)


def test_sources_add_up_and_missing_ones_are_left_to_the_compiler(tmp_path: Path) -> None:
    one = write(tmp_path / "one.cpp", BASIC)
    two = write(tmp_path / "two.cpp", 'TORCH_LIBRARY_FRAGMENT(my_ops, m) { m.def("div", f); }')
    found = read_registrations([one, tmp_path / "missing.cpp", two])
    assert found.owners == ("my_ops",)
    assert found.fragments == ("my_ops",)
    assert found.operators[-1] == "my_ops::div"


def test_a_source_may_be_in_any_encoding(tmp_path: Path) -> None:
    file = tmp_path / "latin.cpp"
    file.write_bytes("// ümläut\n".encode("latin-1") + BASIC.encode())
    assert read_registrations([file]).owners == ("my_ops",)


# --- conflicts -----------------------------------------------------------------------------------------------------

Libraries = Mapping[str, Registrations]


def problem(libraries: Libraries, promised: Mapping[str, tuple[str, ...]] | None = None) -> str:
    problems = find_conflicts(libraries, promised or {})
    assert len(problems) == 1, problems
    return problems[0]


def test_no_conflict() -> None:
    libraries = {"a": Registrations(owners=("x",), operators=("x::f",)), "b": Registrations(fragments=("x",))}
    assert find_conflicts(libraries, {"a": ("x",), "b": ("x",)}) == []


def test_a_promise_that_is_not_kept() -> None:
    text = problem({"a": Registrations(owners=("y",))}, {"a": ("x",)})
    assert "operator library 'a' promises the namespace 'x'" in text
    assert "TORCH_LIBRARY(x, m)" in text
    assert "they register: y" in text
    assert "they register: none" in problem({"a": Registrations()}, {"a": ("x",)})


def test_one_namespace_in_two_libraries() -> None:
    text = problem({"a": Registrations(owners=("x",)), "b": Registrations(owners=("x",))})
    assert text.startswith("TORCH_LIBRARY(x, m) stands in 'a' and 'b'")
    assert "TORCH_LIBRARY_FRAGMENT(x, m)" in text


def test_one_namespace_twice_in_one_library() -> None:
    assert "stands twice in 'a'" in problem({"a": Registrations(owners=("x", "x"))})


def test_one_operator_in_two_libraries() -> None:
    libraries = {
        "a": Registrations(owners=("x",), operators=("x::f",)),
        "b": Registrations(fragments=("x",), operators=("x::f", "x::f.out")),
    }
    assert problem(libraries) == "operator x::f is registered by 'a' and by 'b'"


def test_branches_of_the_preprocessor_are_not_two_registrations() -> None:
    source = "#ifdef A\nTORCH_LIBRARY(x, m) {}\n#else\nTORCH_LIBRARY(x, m) {}\n#endif\n"
    assert find_conflicts({"a": parse_registrations(source)}, {}) == []
