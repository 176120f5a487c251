// Plain-loop references of kernels/api/hyper_connection.h. Backward through Sinkhorn keeps every round.
#include <cmath>
#include <vector>

#include "kernels/api/hyper_connection.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/reference.h"

namespace orrery {

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// m[i, j] ← m[i, j] / (Σ over the line + eps); a line is a row (by_row) or a column.
void normalize(std::vector<double>& m, std::int64_t n, bool by_row, double eps) {
  for (std::int64_t a = 0; a < n; ++a) {
    double sum = eps;
    for (std::int64_t b = 0; b < n; ++b) sum += m[idx(by_row ? a * n + b : b * n + a)];
    for (std::int64_t b = 0; b < n; ++b) m[idx(by_row ? a * n + b : b * n + a)] /= sum;
  }
}

// Gradient of normalize: `before` is its input, g becomes the gradient of it.
void normalize_backward(const std::vector<double>& before, std::vector<double>& g, std::int64_t n, bool by_row,
                        double eps) {
  for (std::int64_t a = 0; a < n; ++a) {
    double sum = eps, dot = 0;
    for (std::int64_t b = 0; b < n; ++b) {
      const std::size_t i = idx(by_row ? a * n + b : b * n + a);
      sum += before[i];
      dot += before[i] * g[i];
    }
    for (std::int64_t b = 0; b < n; ++b) {
      const std::size_t i = idx(by_row ? a * n + b : b * n + a);
      g[i] = g[i] / sum - dot / (sum * sum);
    }
  }
}

// Softmax rows of z plus eps, then the rounds; stages[r] is the matrix before round r, the last one the result.
std::vector<std::vector<double>> sinkhorn(const std::vector<double>& z, std::int64_t n, const HcOptions& options) {
  std::vector<double> m(z.size());
  for (std::int64_t i = 0; i < n; ++i) {
    double top = z[idx(i * n)], total = 0;
    for (std::int64_t j = 0; j < n; ++j) top = std::max(top, z[idx(i * n + j)]);
    for (std::int64_t j = 0; j < n; ++j) total += m[idx(i * n + j)] = std::exp(z[idx(i * n + j)] - top);
    for (std::int64_t j = 0; j < n; ++j) m[idx(i * n + j)] = m[idx(i * n + j)] / total + double{options.eps};
  }
  std::vector<std::vector<double>> stages{m};
  for (int round = 0; round < 2 * options.iterations - 1; ++round) {
    normalize(m, n, round % 2 == 1, options.eps);
    stages.push_back(m);
  }
  return stages;
}

template <class T>
void pre(const HcPreArgs& args) {
  const std::int64_t n = args.x.shape[1], d = args.x.shape[2], width = n * d, rows = args.fn.shape[0];
  for (std::int64_t t = 0; t < args.x.shape[0]; ++t) {
    double squares = 0;
    for (std::int64_t i = 0; i < width; ++i) squares += at<T>(args.x, t * width + i) * at<T>(args.x, t * width + i);
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(width) + double{args.options.norm_eps});
    put<float>(args.inverse, t, inverse);
    std::vector<double> z = zeros(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (std::int64_t i = 0; i < width; ++i) sum += at<float>(args.fn, r * width + i) * at<T>(args.x, t * width + i);
      put<float>(args.mix, t * rows + r, sum * inverse);
      z[idx(r)] = sum * inverse * at<float>(args.scale, r < 2 * n ? r / n : 2) + at<float>(args.base, r);
    }
    for (std::int64_t i = 0; i < d; ++i) {
      double sum = 0;
      for (std::int64_t m = 0; m < n; ++m)
        sum += (sigmoid(z[idx(m)]) + double{args.options.eps}) * at<T>(args.x, t * width + m * d + i);
      put<T>(args.h, t * d + i, sum);
    }
    for (std::int64_t m = 0; m < n; ++m) put<float>(args.pre, t * n + m, sigmoid(z[idx(m)]) + double{args.options.eps});
    if (!args.post) continue;
    for (std::int64_t m = 0; m < n; ++m) put<float>(args.post, t * n + m, 2 * sigmoid(z[idx(n + m)]));
    const auto comb = sinkhorn({z.begin() + 2 * n, z.end()}, n, args.options).back();
    for (std::int64_t i = 0; i < n * n; ++i) put<float>(args.comb, t * n * n + i, comb[idx(i)]);
  }
}

// Gradient of comb with respect to its logits z.
std::vector<double> sinkhorn_backward(const std::vector<double>& z, std::vector<double> g, std::int64_t n,
                                      const HcOptions& options) {
  const auto stages = sinkhorn(z, n, options);
  for (int round = 2 * options.iterations - 2; round >= 0; --round)
    normalize_backward(stages[idx(round)], g, n, round % 2 == 1, options.eps);
  for (std::int64_t i = 0; i < n; ++i) {
    double dot = 0;
    for (std::int64_t j = 0; j < n; ++j) dot += (stages[0][idx(i * n + j)] - double{options.eps}) * g[idx(i * n + j)];
    for (std::int64_t j = 0; j < n; ++j)
      g[idx(i * n + j)] = (stages[0][idx(i * n + j)] - double{options.eps}) * (g[idx(i * n + j)] - dot);
  }
  return g;
}

// Gradient of the loss with respect to the logits z = mix · scale + base of token t.
template <class T>
std::vector<double> grad_logits(const HcPreBackwardArgs& args, std::int64_t t) {
  const std::int64_t n = args.x.shape[1], d = args.x.shape[2], rows = args.fn.shape[0];
  std::vector<double> z = zeros(rows), g = zeros(rows);
  for (std::int64_t r = 0; r < rows; ++r)
    z[idx(r)] =
        at<float>(args.mix, t * rows + r) * at<float>(args.scale, r < 2 * n ? r / n : 2) + at<float>(args.base, r);
  for (std::int64_t m = 0; m < n; ++m) {
    double dot = 0;
    for (std::int64_t i = 0; i < d; ++i) dot += at<T>(args.grad_h, t * d + i) * at<T>(args.x, (t * n + m) * d + i);
    g[idx(m)] = dot * sigmoid(z[idx(m)]) * (1 - sigmoid(z[idx(m)]));
  }
  if (!args.grad_post) return g;
  for (std::int64_t r = n; r < 2 * n; ++r)
    g[idx(r)] = at<float>(args.grad_post, t * n + r - n) * 2 * sigmoid(z[idx(r)]) * (1 - sigmoid(z[idx(r)]));
  std::vector<double> grad_comb = zeros(n * n);
  for (std::int64_t i = 0; i < n * n; ++i) grad_comb[idx(i)] = at<float>(args.grad_comb, t * n * n + i);
  grad_comb = sinkhorn_backward({z.begin() + 2 * n, z.end()}, grad_comb, n, args.options);
  for (std::int64_t i = 0; i < n * n; ++i) g[idx(2 * n + i)] = grad_comb[idx(i)];
  return g;
}

template <class T>
void pre_backward(const HcPreBackwardArgs& args) {
  const std::int64_t n = args.x.shape[1], d = args.x.shape[2], width = n * d, rows = args.fn.shape[0];
  std::vector<double> grad_fn = zeros(rows * width), grad_base = zeros(rows), grad_scale = zeros(3);
  for (std::int64_t t = 0; t < args.x.shape[0]; ++t) {
    const std::vector<double> g = grad_logits<T>(args, t);
    const double inverse = at<float>(args.inverse, t);
    std::vector<double> grad_mix = zeros(rows);
    double dot = 0;  // Σ_r grad_mix_r · mix_r
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t part = r < 2 * n ? r / n : 2;
      const double mix = at<float>(args.mix, t * rows + r);
      grad_base[idx(r)] += g[idx(r)];
      grad_scale[idx(part)] += g[idx(r)] * mix;
      grad_mix[idx(r)] = g[idx(r)] * at<float>(args.scale, part);
      dot += grad_mix[idx(r)] * mix;
    }
    for (std::int64_t i = 0; i < width; ++i) {
      const double x = at<T>(args.x, t * width + i);
      double sum = at<float>(args.pre, t * n + i / d) * at<T>(args.grad_h, t * d + i % d);
      sum -= inverse * inverse / static_cast<double>(width) * dot * x;
      for (std::int64_t r = 0; r < rows; ++r) {
        sum += inverse * grad_mix[idx(r)] * at<float>(args.fn, r * width + i);
        grad_fn[idx(r * width + i)] += inverse * grad_mix[idx(r)] * x;
      }
      put<T>(args.grad_x, t * width + i, sum);
    }
  }
  for (std::int64_t i = 0; i < rows * width; ++i) put<float>(args.grad_fn, i, grad_fn[idx(i)]);
  for (std::int64_t i = 0; i < rows; ++i) put<float>(args.grad_base, i, grad_base[idx(i)]);
  for (std::int64_t i = 0; i < args.grad_scale.numel(); ++i) put<float>(args.grad_scale, i, grad_scale[idx(i)]);
}

template <class T>
void post(const HcPostArgs& args) {
  const std::int64_t n = args.x.shape[1], d = args.x.shape[2];
  for (std::int64_t t = 0; t < args.x.shape[0]; ++t)
    for (std::int64_t k = 0; k < n; ++k)
      for (std::int64_t i = 0; i < d; ++i) {
        double sum = at<float>(args.post, t * n + k) * at<T>(args.f, t * d + i);
        for (std::int64_t m = 0; m < n; ++m)
          sum += at<float>(args.comb, (t * n + m) * n + k) * at<T>(args.x, (t * n + m) * d + i);
        put<T>(args.y, (t * n + k) * d + i, sum);
      }
}

template <class T>
void post_backward(const HcPostBackwardArgs& args) {
  const std::int64_t n = args.x.shape[1], d = args.x.shape[2];
  for (std::int64_t t = 0; t < args.x.shape[0]; ++t) {
    for (std::int64_t i = 0; i < d; ++i) {
      double grad_f = 0;
      for (std::int64_t k = 0; k < n; ++k)
        grad_f += at<float>(args.post, t * n + k) * at<T>(args.grad_y, (t * n + k) * d + i);
      put<T>(args.grad_f, t * d + i, grad_f);
      for (std::int64_t m = 0; m < n; ++m) {
        double grad_x = 0;
        for (std::int64_t k = 0; k < n; ++k)
          grad_x += at<float>(args.comb, (t * n + m) * n + k) * at<T>(args.grad_y, (t * n + k) * d + i);
        put<T>(args.grad_x, (t * n + m) * d + i, grad_x);
      }
    }
    for (std::int64_t k = 0; k < n; ++k) {
      double grad_post = 0;
      for (std::int64_t i = 0; i < d; ++i)
        grad_post += at<T>(args.grad_y, (t * n + k) * d + i) * at<T>(args.f, t * d + i);
      put<float>(args.grad_post, t * n + k, grad_post);
      for (std::int64_t m = 0; m < n; ++m) {
        double grad_comb = 0;
        for (std::int64_t i = 0; i < d; ++i)
          grad_comb += at<T>(args.grad_y, (t * n + k) * d + i) * at<T>(args.x, (t * n + m) * d + i);
        put<float>(args.grad_comb, (t * n + m) * n + k, grad_comb);
      }
    }
  }
}

}  // namespace

void add_hyper_connection_reference_kernels() {
  add_kernel<HcPreArgs>(Device::cpu, "reference",
                        [](const HcPreArgs& args) { with_float_type(args.x.dtype, [&]<class T>() { pre<T>(args); }); });
  add_kernel<HcPreBackwardArgs>(Device::cpu, "reference", [](const HcPreBackwardArgs& args) {
    with_float_type(args.x.dtype, [&]<class T>() { pre_backward<T>(args); });
  });
  add_kernel<HcPostArgs>(Device::cpu, "reference", [](const HcPostArgs& args) {
    with_float_type(args.x.dtype, [&]<class T>() { post<T>(args); });
  });
  add_kernel<HcPostBackwardArgs>(Device::cpu, "reference", [](const HcPostBackwardArgs& args) {
    with_float_type(args.x.dtype, [&]<class T>() { post_backward<T>(args); });
  });
}

}  // namespace orrery
