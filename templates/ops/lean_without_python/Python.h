// Found before Python's own by sources that get torch/extension.h without Python's part: nothing of
// Python's or pybind's can be declared there, so that none of it is compiled without torch's
// casters. The words are what the build looks for (see torchscript_build/plan/headers.py), to
// compile again with the whole header.
#error Python was not declared: this source needs the whole torch/extension.h
