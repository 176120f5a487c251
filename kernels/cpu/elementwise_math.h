// The elementwise functions and their derivatives in f64: the definition that the fast kernels are tested against.
#pragma once

#include <cmath>

#include "kernels/api/elementwise.h"

namespace orrery {

inline double sigmoid_of(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

inline double unary_value(Unary op, double x, double alpha, double beta) {
  constexpr double kGelu = 0.7978845608028654;  // √(2/π)
  switch (op) {
    case Unary::affine:
      return alpha * x + beta;
    case Unary::clamp:
      return x < alpha ? alpha : x > beta ? beta : x;
    case Unary::abs:
      return std::abs(x);
    case Unary::square:
      return x * x;
    case Unary::sqrt:
      return std::sqrt(x);
    case Unary::rsqrt:
      return 1 / std::sqrt(x);
    case Unary::reciprocal:
      return 1 / x;
    case Unary::exp:
      return std::exp(x);
    case Unary::log:
      return std::log(x);
    case Unary::sin:
      return std::sin(x);
    case Unary::cos:
      return std::cos(x);
    case Unary::tanh:
      return std::tanh(x);
    case Unary::sigmoid:
      return sigmoid_of(x);
    case Unary::softplus:
      return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    case Unary::relu:
      return x > 0 ? x : 0;
    case Unary::silu:
      return x * sigmoid_of(x);
    case Unary::gelu:
      return 0.5 * x * (1 + std::tanh(kGelu * (x + 0.044715 * x * x * x)));
  }
  return 0;
}

inline double unary_derivative(Unary op, double x, double alpha, double beta) {
  constexpr double kGelu = 0.7978845608028654;
  switch (op) {
    case Unary::affine:
      return alpha;
    case Unary::clamp:
      return x >= alpha && x <= beta ? 1 : 0;
    case Unary::abs:
      return x > 0 ? 1 : x < 0 ? -1 : 0;
    case Unary::square:
      return 2 * x;
    case Unary::sqrt:
      return 0.5 / std::sqrt(x);
    case Unary::rsqrt:
      return -0.5 / (x * std::sqrt(x));
    case Unary::reciprocal:
      return -1 / (x * x);
    case Unary::exp:
      return std::exp(x);
    case Unary::log:
      return 1 / x;
    case Unary::sin:
      return std::cos(x);
    case Unary::cos:
      return -std::sin(x);
    case Unary::tanh:
      return 1 - std::tanh(x) * std::tanh(x);
    case Unary::sigmoid:
      return sigmoid_of(x) * (1 - sigmoid_of(x));
    case Unary::softplus:
      return sigmoid_of(x);
    case Unary::relu:
      return x > 0 ? 1 : 0;
    case Unary::silu:
      return sigmoid_of(x) * (1 + x * (1 - sigmoid_of(x)));
    case Unary::gelu: {
      const double t = std::tanh(kGelu * (x + 0.044715 * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kGelu * (1 + 3 * 0.044715 * x * x);
    }
  }
  return 0;
}

inline double binary_value(Binary op, double a, double b) {
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
      return a == b ? 1 : 0;
    case Binary::less:
      return a < b ? 1 : 0;
  }
  return 0;
}

}  // namespace orrery
