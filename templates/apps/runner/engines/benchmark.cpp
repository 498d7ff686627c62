#include "engines/benchmark.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <thread>

namespace runner {

BenchmarkResult benchmark(Engine* engine, const BenchmarkOptions& options) {
  using Clock = std::chrono::steady_clock;
  struct Worker {
    std::vector<double> milliseconds;
    Clock::time_point start;
    Clock::time_point end;
    std::exception_ptr failure;
  };
  std::vector<Worker> workers(static_cast<std::size_t>(options.concurrency));
  std::atomic<std::size_t> ready{0};

  const auto work = [&](Worker& worker) {
    bool arrived = false;
    try {
      const std::unique_ptr<Session> session = engine->new_session();
      worker.milliseconds.reserve(static_cast<std::size_t>(options.calls));
      for (std::int64_t i = 0; i < options.warmup; ++i) session->call();
      ready.fetch_add(1);
      arrived = true;
      while (ready.load() < workers.size()) std::this_thread::yield();
      worker.start = Clock::now();
      Clock::time_point before = worker.start;
      for (std::int64_t i = 0; i < options.calls; ++i) {
        session->call();
        const Clock::time_point now = Clock::now();
        worker.milliseconds.push_back(
            std::chrono::duration<double, std::milli>(now - before).count());
        before = now;
      }
      worker.end = before;
    } catch (...) {
      worker.failure = std::current_exception();
      if (!arrived) ready.fetch_add(1);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < workers.size(); ++i) {
    threads.emplace_back(work, std::ref(workers[i]));
  }
  work(workers[0]);
  for (std::thread& thread : threads) thread.join();

  std::vector<double> all;
  Clock::time_point start = workers[0].start;
  Clock::time_point end = workers[0].end;
  for (const Worker& worker : workers) {
    if (worker.failure) std::rethrow_exception(worker.failure);
    all.insert(all.end(), worker.milliseconds.begin(), worker.milliseconds.end());
    start = std::min(start, worker.start);
    end = std::max(end, worker.end);
  }
  std::sort(all.begin(), all.end());
  const auto percentile = [&all](int percent) {  // nearest rank
    const std::size_t rank = (all.size() * static_cast<std::size_t>(percent) + 99) / 100;
    return all[rank - 1];
  };
  BenchmarkResult result;
  for (double value : all) result.mean_ms += value / static_cast<double>(all.size());
  result.min_ms = all.front();
  result.p50_ms = percentile(50);
  result.p90_ms = percentile(90);
  result.p99_ms = percentile(99);
  result.max_ms = all.back();
  result.calls_per_second =
      static_cast<double>(all.size()) / std::chrono::duration<double>(end - start).count();
  return result;
}

}  // namespace runner
