// In the place of torch's own header, see jit/ir/ir.h: nothing of it is needed.
#pragma once
