// The elementwise functions and their derivatives.
#pragma once

#include <cmath>

#include "kernels/api/elementwise.h"
#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

template <class C>
ORRERY_ON_DEVICE C sigmoid(C x) {
  const C e = exp(-fabs(x));
  return (x >= 0 ? C(1) : e) / (1 + e);
}
template <class C>
ORRERY_ON_DEVICE C softplus(C x) {
  return (x > 0 ? x : C(0)) + log1p(exp(-fabs(x)));
}

template <class C>
ORRERY_ON_DEVICE C unary_value(Unary op, C x, C alpha, C beta) {
  constexpr C kGelu = C(0.7978845608028654);  // √(2/π)
  switch (op) {
    case Unary::affine:
      return alpha * x + beta;
    case Unary::clamp:
      return x < alpha ? alpha : x > beta ? beta : x;
    case Unary::abs:
      return fabs(x);
    case Unary::square:
      return x * x;
    case Unary::sqrt:
      return sqrt(x);
    case Unary::rsqrt:
      return 1 / sqrt(x);
    case Unary::reciprocal:
      return 1 / x;
    case Unary::exp:
      return exp(x);
    case Unary::log:
      return log(x);
    case Unary::sin:
      return sin(x);
    case Unary::cos:
      return cos(x);
    case Unary::tanh:
      return tanh(x);
    case Unary::sigmoid:
      return sigmoid(x);
    case Unary::softplus:
      return softplus(x);
    case Unary::relu:
      return x > 0 ? x : C(0);
    case Unary::silu:
      return x * sigmoid(x);
    case Unary::gelu:
      return C(0.5) * x * (1 + tanh(kGelu * (x + C(0.044715) * x * x * x)));
  }
  return 0;
}

template <class C>
ORRERY_ON_DEVICE C unary_derivative(Unary op, C x, C alpha, C beta) {
  constexpr C kGelu = C(0.7978845608028654);
  switch (op) {
    case Unary::affine:
      return alpha;
    case Unary::clamp:
      return x >= alpha && x <= beta ? C(1) : C(0);
    case Unary::abs:
      return x > 0 ? C(1) : x < 0 ? C(-1) : C(0);
    case Unary::square:
      return 2 * x;
    case Unary::sqrt:
      return C(0.5) / sqrt(x);
    case Unary::rsqrt:
      return C(-0.5) / (x * sqrt(x));
    case Unary::reciprocal:
      return -1 / (x * x);
    case Unary::exp:
      return exp(x);
    case Unary::log:
      return 1 / x;
    case Unary::sin:
      return cos(x);
    case Unary::cos:
      return -sin(x);
    case Unary::tanh: {
      const C t = tanh(x);
      return 1 - t * t;
    }
    case Unary::sigmoid: {
      const C s = sigmoid(x);
      return s * (1 - s);
    }
    case Unary::softplus:
      return sigmoid(x);
    case Unary::relu:
      return x > 0 ? C(1) : C(0);
    case Unary::silu: {
      const C s = sigmoid(x);
      return s * (1 + x * (1 - s));
    }
    case Unary::gelu: {
      const C t = tanh(kGelu * (x + C(0.044715) * x * x * x));
      return C(0.5) * (1 + t) + C(0.5) * x * (1 - t * t) * kGelu * (1 + C(3 * 0.044715) * x * x);
    }
  }
  return 0;
}

template <class C>
ORRERY_ON_DEVICE C binary_value(Binary op, C a, C b) {
  switch (op) {
    case Binary::add:
      return a + b;
    case Binary::sub:
      return a - b;
    case Binary::mul:
      return a * b;
    case Binary::div:
      return a / b;
    case Binary::max:
      return a > b ? a : b;
    case Binary::min:
      return a < b ? a : b;
    case Binary::equal:
      return a == b ? C(1) : C(0);
    case Binary::less:
      return a < b ? C(1) : C(0);
  }
  return 0;
}

}  // namespace orrery::gpu
