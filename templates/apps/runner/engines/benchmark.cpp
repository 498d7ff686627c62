#include "engines/benchmark.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "program/error.h"

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
  std::mutex making;
  std::atomic<std::size_t> made{0};
  std::atomic<std::size_t> ready{0};
  std::atomic<bool> stopped{false};
  const auto wait_for_all = [&](std::atomic<std::size_t>* arrived) {
    arrived->fetch_add(1);
    while (arrived->load() < workers.size() && !stopped.load()) std::this_thread::yield();
  };

  const auto work = [&](Worker& worker) {
    try {
      std::unique_ptr<Session> session;
      {
        const std::lock_guard<std::mutex> lock(making);
        session = engine->new_session(&worker == &workers[0]);
      }
      const std::int64_t most = 1 << 20;
      worker.milliseconds.reserve(static_cast<std::size_t>(std::min(options.calls, most)));
      wait_for_all(&made);
      for (std::int64_t i = 0; i < options.warmup && !stopped.load(); ++i) session->call();
      wait_for_all(&ready);
      worker.start = Clock::now();
      Clock::time_point before = worker.start;
      for (std::int64_t i = 0; i < options.calls && !stopped.load(); ++i) {
        session->call();
        const Clock::time_point now = Clock::now();
        worker.milliseconds.push_back(
            std::chrono::duration<double, std::milli>(now - before).count());
        before = now;
      }
      worker.end = before;
    } catch (...) {
      worker.failure = std::current_exception();
      stopped.store(true);
    }
  };
  std::vector<std::thread> threads;
  std::string refused;
  for (std::size_t i = 1; i < workers.size() && refused.empty(); ++i) {
    try {
      threads.emplace_back(work, std::ref(workers[i]));
    } catch (const std::system_error& error) {
      refused = error.what();
      stopped.store(true);
    }
  }
  if (refused.empty()) work(workers[0]);
  for (std::thread& thread : threads) thread.join();
  if (!refused.empty()) {
    throw Error(kRunFailed,
                "--concurrency " + std::to_string(workers.size()) + ": only " +
                    std::to_string(threads.size() + 1) + " threads could be started: " + refused,
                "use a smaller number, or raise the limit on processes (ulimit -u)");
  }

  for (const Worker& worker : workers) {
    if (worker.failure) std::rethrow_exception(worker.failure);
  }
  std::vector<double> all;
  Clock::time_point start = workers[0].start;
  Clock::time_point end = workers[0].end;
  for (const Worker& worker : workers) {
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
