// running_stats::RunningStats: mean and standard deviation of the columns of all rows seen so far.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/custom_class.h>

#include <cstdint>
#include <limits>
#include <tuple>
#include <utility>

namespace {

using at::Tensor;

// Chan's way to join the statistics of two sets of rows: no sum of squares grows beyond its digits.
class RunningStats : public torch::CustomClassHolder {
 public:
  using State = std::tuple<std::int64_t, Tensor, Tensor>;

  explicit RunningStats(std::int64_t columns)
      : mean_(at::zeros({check_columns(columns)}, at::kDouble)), squares_(at::zeros_like(mean_)) {}

  explicit RunningStats(State state)
      : count_(std::get<0>(state)),
        mean_(std::move(std::get<1>(state))),
        squares_(std::move(std::get<2>(state))) {}

  void push(const Tensor& rows) {
    TORCH_CHECK(rows.dim() == 2 && rows.size(1) == mean_.size(0), "push wants rows of shape (N, ",
                mean_.size(0), "), not ", rows.sizes());
    if (rows.size(0) == 0) return;
    const Tensor values = rows.detach().to(at::kDouble);
    const Tensor mean = values.mean(0);
    const Tensor deviations = values - mean;
    const Tensor difference = mean - mean_;
    const auto before = static_cast<double>(count_);
    const auto added = static_cast<double>(rows.size(0));
    const double total = before + added;
    squares_ = squares_ + (deviations * deviations).sum(0) +
               difference * difference * (before * added / total);
    mean_ = mean_ + difference * (added / total);
    count_ += rows.size(0);
  }

  std::int64_t count() const { return count_; }

  Tensor mean() const { return mean_.to(at::kFloat); }

  // Of the whole population; not a number before anything was seen.
  Tensor std() const {
    if (count_ == 0) {
      return at::full_like(mean_, std::numeric_limits<double>::quiet_NaN()).to(at::kFloat);
    }
    return (squares_ / static_cast<double>(count_)).sqrt().to(at::kFloat);
  }

  State state() const { return {count_, mean_, squares_}; }

 private:
  static std::int64_t check_columns(std::int64_t columns) {
    TORCH_CHECK(columns > 0, "RunningStats wants at least one column, not ", columns);
    return columns;
  }

  std::int64_t count_ = 0;
  Tensor mean_;
  Tensor squares_;  // the sum of squared deviations from the mean
};

}  // namespace

TORCH_LIBRARY(running_stats, m) {
  m.class_<RunningStats>("RunningStats")
      .def(torch::init<std::int64_t>(), "", {torch::arg("columns")})
      .def("push", &RunningStats::push)
      .def("count", &RunningStats::count)
      .def("mean", &RunningStats::mean)
      .def("std", &RunningStats::std)
      .def_pickle([](const c10::intrusive_ptr<RunningStats>& self) { return self->state(); },
                  [](RunningStats::State state) {
                    return c10::make_intrusive<RunningStats>(std::move(state));
                  });
}
