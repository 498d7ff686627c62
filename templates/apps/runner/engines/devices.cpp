#include "engines/devices.h"

#include "engines/failures.h"
#include "engines/libtorch.h"
#include "program/error.h"

namespace runner {

at::Device parse_device(const std::string& text) {
  at::Device device(at::kCPU);
  try {
    device = at::Device(text);
  } catch (const c10::Error&) {
    throw Error(kUsage, "--device " + text + ": not a device (cpu, cuda, cuda:1 ...)");
  }
  if (device.is_cuda()) {
    const LibtorchInfo info = libtorch_info();
    if (!info.cuda_built) {
      throw Error(kDeviceUnavailable,
                  "--device " + text + ": this program was built with a libtorch without CUDA",
                  "use --device cpu, or build with a CUDA libtorch (and link torch_cuda)");
    }
    if (info.cuda_devices == 0) {
      throw Error(kDeviceUnavailable, "--device " + text + ": no CUDA device or driver was found",
                  "nvidia-smi shows what the driver sees");
    }
    if (device.has_index() && device.index() >= info.cuda_devices) {
      throw Error(kDeviceUnavailable, "--device " + text + ": there are only " +
                                          std::to_string(info.cuda_devices) + " CUDA devices");
    }
    // "cuda" would be the current device of each thread
    if (!device.has_index()) device = at::Device(at::kCUDA, 0);
  } else if (!device.is_cpu()) {
    try {
      at::empty({1}, at::TensorOptions().device(device));
    } catch (const std::exception& exception) {
      throw Error(kDeviceUnavailable,
                  "--device " + text + ": " + essential_line(message_of(exception)));
    }
  }
  return device;
}

void synchronize(const at::Device& device) {
  if (device.is_cpu()) return;
#if TORCH_AT_LEAST(1, 11)
  c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
#else
  at::empty({1}, at::TensorOptions().device(device)).item();
#endif
}

}  // namespace runner
