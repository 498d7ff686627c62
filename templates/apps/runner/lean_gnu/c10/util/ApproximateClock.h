// In the place of torch's own header, which includes <x86intrin.h>, a quarter of all text that the
// runner's sources include, for one function that this smaller header has, too. For GCC, whose name
// is the guard of the other.
#pragma once

#if __has_include(<x86gprintrin.h>) && !defined(_X86INTRIN_H_INCLUDED)
#include <x86gprintrin.h>
#define _X86INTRIN_H_INCLUDED
#include_next <c10/util/ApproximateClock.h>
#undef _X86INTRIN_H_INCLUDED
#else
#include_next <c10/util/ApproximateClock.h>
#endif
