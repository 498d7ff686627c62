#include "values/unpacked.h"

#include "values/from_torch.h"
#include "values/to_torch.h"

namespace runner {

Value unpacked(const Value& value) {
  if (value.kind == Value::Kind::kTensor) {
    const Tensor& tensor = *value.tensor;
    return make_tensor(tensor.packing ? from_torch(to_torch(tensor)) : contiguous(tensor));
  }
  Value result = value;
  for (Value& item : result.items) item = unpacked(item);
  return result;
}

}  // namespace runner
