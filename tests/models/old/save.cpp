// Wrote format_1.pt with torch 1.4.0 and format_2.pt with torch 1.5.0, releases whose Python is
// gone:
//   c++ -std=c++14 -D_GLIBCXX_USE_CXX11_ABI=0 -Itorch/include
//   -Itorch/include/torch/csrc/api/include
//     save.cpp -Ltorch/lib -ltorch -lc10 -Wl,-rpath,torch/lib   (1.5.0: and -ltorch_cpu)
#include <torch/script.h>

int main(int, char** argv) {
  torch::jit::script::Module linear("Linear");
  linear.register_parameter("weight", torch::arange(8, torch::kFloat).reshape({2, 4}), false);
  linear.register_buffer("bias", torch::tensor({0.5, -1.0}, torch::kFloat));
  linear.define(R"(
def forward(self, x):
    return torch.addmm(self.bias, x, self.weight.t())
)");
  torch::jit::script::Module net("Net");
  net.register_module("linear", linear);
  net.register_attribute("names", c10::ListType::ofTensors(),
                         c10::List<at::Tensor>({torch::ones({1})}));
  // What division and full() mean has changed in formats 4 and 5: an archive keeps its meaning.
  net.define(R"(
def forward(self, x, n: int):
    halves = torch.div(torch.arange(n), 2)
    filled = torch.full([2], 3)
    return self.linear.forward(x), halves, filled, {"names": self.names}, (n, [x])
)");
  net.eval();
  net.save(argv[1]);
}
