// In the place of c10's own header, which wants one instruction of x86intrin.h: the rest of that
// takes GCC half a second. Sources that include it themselves get it, before and after, and those
// that name what is in there get torch's own.
#pragma once

#if !defined(_X86INTRIN_H_INCLUDED) && __has_include(<x86gprintrin.h>)
#include <x86gprintrin.h>  // has __rdtsc, from GCC 11 on
#define _X86INTRIN_H_INCLUDED
#include_next <c10/util/ApproximateClock.h>
#undef _X86INTRIN_H_INCLUDED
#else
#include_next <c10/util/ApproximateClock.h>
#endif
